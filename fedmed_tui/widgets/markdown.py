"""Markdown from elsewhere in one widget, drawn by Rich for the width it has.

Textual's own Markdown makes a widget of every paragraph and four of every list item: a chat of thirty answers took seconds of the
screen's time and 90 MiB to show.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.padding import Padding
from rich.segment import Segment
from rich.text import Text
from rich.theme import Theme
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from fedmed_tui.widgets.text import safe

_STYLES = Theme(
    {
        **{f"markdown.h{level}": "bold" for level in range(1, 7)},
        "markdown.h1": "bold underline",
        "markdown.code": "bold",
        "markdown.block_quote": "italic",
        "markdown.item.bullet": "bold",
        "markdown.item.number": "bold",
        "markdown.list": "none",
        "markdown.hr": "dim",
        "markdown.link": "underline",
        "markdown.link_url": "underline",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
    }
)
"""Without colours: text has those of the widget, in a dark theme and in a light one."""


class _LeftHeading(Heading):
    """Rich centres headings, and boxes the first kind."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _PlainCode(CodeBlock):
    """Rich paints code on a ground of its own, black or white, whatever the theme."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Padding(Text(self.text.plain.rstrip()), (0, 0, 0, 2))


class _Page(Markdown):
    """Markdown in which a `<b>` is shown instead of being left out."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = Markdown.elements | {
        "heading_open": _LeftHeading,
        "fence": _PlainCode,
        "code_block": _PlainCode,
    }

    def __init__(self, text: str) -> None:
        super().__init__("", hyperlinks=False)
        self.parsed = MarkdownIt("gfm-like", {"html": False}).parse(text)


class MarkdownText(Widget):
    """Markdown that may grow.

    Args:
        text: from a model or a file: what a terminal would obey is shown as `�`.
    """

    DEFAULT_CSS = """
    MarkdownText { width: 1fr; height: auto; text-wrap: nowrap; }
    """

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.text = text

    def write(self, text: str) -> None:
        """Show this text instead."""
        if text != self.text:
            self.text = text
            self.refresh(layout=True)

    def render(self) -> Content:
        """The text in as many lines as its width makes of it."""
        return drawn(self.text, self.content_size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """In lines."""
        return drawn(self.text, width).plain.count("\n") + 1 if self.text and width else 0


@lru_cache(32)
def drawn(text: str, width: int) -> Content:
    """Markdown as content whose lines are at most `width` cells wide."""
    if not text or width < 1:
        return Content("")
    console = Console(width=width, force_terminal=True, color_system="truecolor", legacy_windows=False, theme=_STYLES)
    lines = console.render_lines(_Page(safe(text)), console.options, pad=False)
    return Content("\n").join(_line(segments) for segments in lines)


def _line(segments: list[Segment]) -> Content:
    line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
    line.rstrip()
    return Content.from_rich_text(line)
