"""Colours and marks: one accent, quiet greys, and for each hospital a mark that never changes, so that colour is never needed."""

from __future__ import annotations

from dataclasses import dataclass

from textual.color import Color
from textual.theme import Theme

MARKS = "●▲■◆▼○△□◇▽"
"""A hospital's mark, by its place among the hospitals of the run."""

_HUES = ("#82aee6", "#dcb06f", "#c295d6", "#98c37f", "#df8f84", "#a9b7c0")
_HUES_ON_LIGHT = ("#2b62a8", "#94600c", "#7d4296", "#42742a", "#a8433a", "#55636d")

DARK = Theme(
    name="fedmed-dark",
    dark=True,
    primary="#5fc4b4",
    secondary="#5fc4b4",
    accent="#5fc4b4",
    success="#5fc4b4",
    warning="#dcb06f",
    error="#e5857b",
    foreground="#d5dde1",
    background="#101518",
    surface="#101518",
    panel="#1b2328",
    variables={
        "muted": "#8b9aa3",
        "line": "#2d3940",
        "border": "#2d3940",
        "border-blurred": "#2d3940",
        "block-cursor-foreground": "#d5dde1",
        "block-cursor-background": "#25343a",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-foreground": "#d5dde1",
        "block-cursor-blurred-background": "#1b2328",
        "footer-background": "#101518",
        "footer-key-foreground": "#5fc4b4",
        "footer-description-foreground": "#8b9aa3",
        "input-selection-background": "#5fc4b4 30%",
        "scrollbar": "#2d3940",
        "scrollbar-hover": "#3a4850",
        "scrollbar-active": "#5fc4b4",
        "scrollbar-background": "#101518",
        "scrollbar-background-hover": "#101518",
        "scrollbar-background-active": "#101518",
        "scrollbar-corner-color": "#101518",
    },
)

LIGHT = Theme(
    name="fedmed-light",
    dark=False,
    primary="#0d7a6b",
    secondary="#0d7a6b",
    accent="#0d7a6b",
    success="#0d7a6b",
    warning="#94600c",
    error="#b23a2f",
    foreground="#1d282d",
    background="#f7f9f9",
    surface="#f7f9f9",
    panel="#e9eeef",
    variables={
        "muted": "#5a6a72",
        "line": "#c6d1d5",
        "border": "#c6d1d5",
        "border-blurred": "#c6d1d5",
        "block-cursor-foreground": "#1d282d",
        "block-cursor-background": "#d5e6e3",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-foreground": "#1d282d",
        "block-cursor-blurred-background": "#e9eeef",
        "footer-background": "#f7f9f9",
        "footer-key-foreground": "#0d7a6b",
        "footer-description-foreground": "#5a6a72",
        "input-selection-background": "#0d7a6b 25%",
        "scrollbar": "#c6d1d5",
        "scrollbar-hover": "#aab8bd",
        "scrollbar-active": "#0d7a6b",
        "scrollbar-background": "#f7f9f9",
        "scrollbar-background-hover": "#f7f9f9",
        "scrollbar-background-active": "#f7f9f9",
        "scrollbar-corner-color": "#f7f9f9",
    },
)

THEMES = (DARK, LIGHT)


@dataclass(frozen=True)
class Look:
    """How one hospital is drawn, everywhere."""

    mark: str
    hue: str
    """`#rrggbb`."""

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The hue as plotext wants it."""
        return Color.parse(self.hue).rgb


def look(place: int, *, dark: bool = True) -> Look:
    """The look of the hospital at `place` (from 0)."""
    hues = _HUES if dark else _HUES_ON_LIGHT
    return Look(mark=MARKS[place % len(MARKS)], hue=hues[place % len(hues)])
