"""Textual 8.2 remembers border colours by the widget that asked, and so keeps the drawn lines of up to 1,024 removed widgets.

https://github.com/Textualize/textual/issues/6665. The colours depend on two backgrounds alone: remember them by these.
"""

from __future__ import annotations

from functools import lru_cache

from textual._styles_cache import StylesCache
from textual.color import Color
from textual.style import Style

_remembering = StylesCache.get_inner_outer


@lru_cache(1024)
def _inner_outer(base_background: Color, background: Color) -> tuple[Style, Style]:
    colors: tuple[Style, Style] = _remembering.__wrapped__(StylesCache, base_background, background)
    return colors


def let_removed_widgets_go() -> None:
    """Call before anything is drawn. Does nothing where Textual has another way by now."""
    if hasattr(_remembering, "__wrapped__"):
        StylesCache.get_inner_outer = lambda _, *backgrounds: _inner_outer(*backgrounds)  # type: ignore[method-assign, assignment]
