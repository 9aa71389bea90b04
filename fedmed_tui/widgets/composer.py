"""Where a question is typed: several lines if need be, and earlier questions come back with the up-arrow key."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from fedmed_tui.widgets.text import safe

LONGEST = 8000
"""Characters of a question; what is pasted beyond is left out."""


class Composer(TextArea):
    """Enter sends, ctrl+j begins a new line, ↑ on the first line recalls what was asked before.

    Args:
        recalled: earlier questions, oldest first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", id="chat.send", tooltip="send the question"),
        Binding(
            "ctrl+j,shift+enter,alt+enter",
            "new_line",
            "New line",
            id="chat.line",
            show=False,
            tooltip="in the question",
        ),
    ]
    DEFAULT_CSS = """
    Composer {
        height: auto; max-height: 8; border: round $line; background: $background; padding: 0 1; scrollbar-size-vertical: 1;
        border-subtitle-color: $muted;
        &:focus { border: round $accent; background-tint: $foreground 0%; }
    }
    .-small Composer { max-height: 5; }
    """

    class Sent(Message):
        """A question is ready to be asked."""

        def __init__(self, question: str) -> None:
            super().__init__()
            self.question = question

    def __init__(self, recalled: Callable[[], list[str]]) -> None:
        super().__init__(placeholder="Ask a medical question", highlight_cursor_line=False)
        self._recalled = recalled
        self._questions: list[str] = []
        self._place = 0  # in the list above; at its end is the draft
        self._draft = ""

    async def _on_key(self, event: events.Key) -> None:
        """Enter comes after the letters typed before it, which a binding with priority would overtake."""
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_send()
            return
        await super()._on_key(event)

    def action_send(self) -> None:
        """Hand the question over; it stays until it was taken."""
        if question := self.text.strip():
            self.post_message(self.Sent(question))

    def action_new_line(self) -> None:
        """Go on in the next line."""
        self.insert("\n")

    def clear_question(self) -> None:
        """The question was taken."""
        self._questions, self._place, self._draft = [], 0, ""
        self.text = ""

    def write(self, question: str) -> None:
        """Put a question here, to be changed or sent."""
        self.text = _typed(question)
        self.move_cursor(self.document.end)

    def action_cursor_up(self, select: bool = False) -> None:
        """Up one line; on the first one, the question asked before."""
        if select or self.cursor_location[0] > 0:
            super().action_cursor_up(select)
            return
        if not self._questions:
            self._questions = self._recalled()
            self._place = len(self._questions)
        if self._place == len(self._questions):
            self._draft = self.text
        if self._place > 0:
            self._place -= 1
            self.write(self._questions[self._place])

    def action_cursor_down(self, select: bool = False) -> None:
        """Down one line; on the last one, the question asked after it, then what was being typed."""
        if select or self.cursor_location[0] < self.document.line_count - 1 or self._place >= len(self._questions):
            super().action_cursor_down(select)
            return
        self._place += 1
        self.write(self._questions[self._place] if self._place < len(self._questions) else self._draft)

    async def _on_paste(self, event: events.Paste) -> None:
        """Pasted lines are one question; endless text is cut, and nothing in it reaches the terminal."""
        event.text = _typed(event.text)[: max(LONGEST - len(self.text), 0)]
        await super()._on_paste(event)


def _typed(text: str) -> str:
    return safe("\n".join(text.splitlines()))
