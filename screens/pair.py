"""One pair in full, for the hospital that owns it; ← and → leaf through the others."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.errors import FedMedError
from fedmed_tui.datadesk import Stopped
from fedmed_tui.pairbook import PairBook
from fedmed_tui.widgets.text import plain, safe
from screens.dialog import Dialog


class PairScreen(Dialog[int]):
    """Read pairs; returns the place of the last one read.

    Args:
        book: the pairs.
        at: the place to begin at.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "leave", "Close", id="pair.close", tooltip="back to the list"),
        Binding("right,n", "turn(1)", "Next", id="pair.next", tooltip="the next pair"),
        Binding("left,p", "turn(-1)", "Previous", id="pair.previous", tooltip="the pair before"),
    ]
    DEFAULT_CSS = """
    PairScreen {
        & > .box { width: 100; height: 90%; }
        #text { height: auto; }
    }
    PairScreen.-small > .box, PairScreen.-medium > .box { height: 100%; }
    """

    def __init__(self, book: PairBook, at: int) -> None:
        super().__init__()
        self._book = book
        self._at = at

    def compose(self) -> ComposeResult:
        """A page that scrolls."""
        with VerticalScroll(classes="box") as box:
            box.border_subtitle = "← → other pairs · ↑ ↓ scroll · Esc back"
            yield Static(id="text", markup=False)

    def on_mount(self) -> None:
        """Show the pair."""
        self.query_one(".box").focus()
        self._show()

    def action_leave(self) -> None:
        """Back to the list."""
        self.dismiss(self._at)

    def action_turn(self, by: int) -> None:
        """Another pair."""
        at = min(max(self._at + by, 0), self._book.matches - 1)
        if at != self._at:
            self._at = at
            self._show()

    @work(exclusive=True)
    async def _show(self) -> None:
        try:
            await self._book.load(self._at)
        except (FedMedError, Stopped) as error:
            self._write(plain(f"✖ {error}"))
            return
        pair = self._book.pair(self._at)
        if pair is None:
            return
        box = self.query_one(".box", VerticalScroll)
        box.border_title = f"Pair {self._at + 1:,} of {self._book.matches:,}"
        box.scroll_home(animate=False)
        words = self._book.query.split()
        facts = " · ".join(part for part in (safe(pair.topic), safe(pair.kind), safe(pair.split), safe(pair.id)) if part)
        question = _marked(safe(pair.question), words).stylize_before("bold")
        self._write(
            Content("\n").join(
                [Content.styled(facts, "$muted"), Content(""), question, Content(""), _marked(safe(pair.answer), words)]
            )
        )

    def _write(self, content: Content) -> None:
        self.query_one("#text", Static).update(content)


def _marked(text: str, words: list[str]) -> Content:
    """The text with the words that were looked for underlined."""
    content, lower = Content(text), text.lower()
    if len(lower) != len(text):  # a letter that is longer in lower case would shift the marks
        return content
    for word in words:
        start = lower.find(word.lower())
        while start >= 0:
            content = content.stylize("underline $accent", start, start + len(word))
            start = lower.find(word.lower(), start + len(word))
    return content
