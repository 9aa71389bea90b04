"""The frame of every dialog: a titled box in the middle, closed by Escape."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

Result = TypeVar("Result")


class Dialog(ModalScreen[Result | None]):
    """A dialog over the current screen; None means that it was left without an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", id="dialog.close", tooltip="leave without changing anything")
    ]
    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        & > .box {
            width: 72; max-width: 100%; height: auto; max-height: 100%;
            border: round $accent; border-title-color: $accent; border-subtitle-color: $muted;
            background: $background; padding: 1 2;
        }
        .hint { color: $muted; height: auto; }
    }
    Dialog.-small > .box { padding: 0 1; }
    """

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)
