"""The browser of pairs: a list that draws only the lines in sight and asks only for their pages, and a filter above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input

from engine.errors import FedMedError
from engine.protocol import BrowsedPair
from fedmed_tui.datadesk import Stopped
from fedmed_tui.pairbook import PairBook
from fedmed_tui.widgets.text import one_line

SPLITS = {"train": "train", "validation": "valid", "test": "test"}
SPLIT = 5
GAP = "  "


class PairList(ScrollView, can_focus=True):
    """One line a pair. As fast with sixteen thousand pairs as with sixteen."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"pairs--cursor", "pairs--muted"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown,space", "page(1)", "Page down", show=False),
        Binding("home,g", "to(0)", "First", show=False),
        Binding("end,G", "to(-1)", "Last", show=False),
        Binding("enter", "read", "Read", id="pairs.read", show=False, tooltip="read the pair in full"),
    ]
    DEFAULT_CSS = """
    PairList {
        height: 1fr; background: $background; scrollbar-size: 1 1; overflow-x: hidden;
        & > .pairs--muted { color: $muted; }
        & > .pairs--cursor { background: $block-cursor-blurred-background; }
        &:focus > .pairs--cursor { background: $block-cursor-background; text-style: bold; }
    }
    """
    cursor: reactive[int] = reactive(0, init=False)

    @dataclass
    class Moved(Message):
        """The cursor is on another pair, or other pairs are listed."""

        pairs: PairList

    @dataclass
    class Chosen(Message):
        """A pair is to be read."""

        book: PairBook
        at: int

    def __init__(self) -> None:
        super().__init__()
        self.book: PairBook | None = None
        """What is listed."""
        self.problem = ""
        """Why it cannot be listed."""
        self._coming: PairBook | None = None
        self._busy = False

    def open(self, book: PairBook) -> None:
        """List other pairs. The old ones stay until the first page of the new ones is here, so that nothing flickers."""
        self._coming = book
        self._load_what_is_missing()

    def close(self) -> None:
        """List nothing."""
        self.book = self._coming = None
        self._listed()

    # --- loading ---------------------------------------------------------------------------------------------------------------

    def _load_what_is_missing(self) -> None:
        if not self._busy and self.is_attached:
            self._busy = True
            self._load()

    @work
    async def _load(self) -> None:
        """One page after another until those in sight are here; what was scrolled past meanwhile is never asked for."""
        try:
            while await self._load_next():
                pass
            self.problem = ""
        except (FedMedError, Stopped) as error:
            self._coming = None
            self.problem = str(error)
        finally:
            self._busy = False
            self.refresh()
            self.post_message(self.Moved(self))

    async def _load_next(self) -> bool:
        """Fetch one page; False when nothing is missing."""
        coming = self._coming
        if coming is not None:
            await coming.load(0)
            if coming is self._coming:
                self.book, self._coming = coming, None
                self._listed()
            return True
        missing = self._missing()
        if missing is None or self.book is None:
            return False
        await self.book.load(missing)
        self.refresh()
        return True

    def _missing(self) -> int | None:
        """The first place in sight whose pair is not here."""
        if self.book is None:
            return None
        first = self.scroll_offset.y
        last = min(first + self.size.height, self.book.matches)
        return next((at for at in range(first, last) if not self.book.has(at)), None)

    def _listed(self) -> None:
        self.virtual_size = Size(self.size.width, self.book.matches if self.book else 0)
        self.set_reactive(PairList.cursor, 0)
        self.scroll_to(y=0, animate=False)
        self.refresh()
        self.post_message(self.Moved(self))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other pairs are in sight."""
        super().watch_scroll_y(old_value, new_value)
        self._load_what_is_missing()

    def on_resize(self) -> None:
        """More pairs may be in sight."""
        self._load_what_is_missing()

    # --- moving ----------------------------------------------------------------------------------------------------------------

    def watch_cursor(self) -> None:
        """Keep it in sight."""
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)
        self.refresh()
        self.post_message(self.Moved(self))

    def action_to(self, place: int) -> None:
        """Go to a place; -1 is the last."""
        last = (self.book.matches if self.book else 0) - 1
        self.cursor = max(0, last if place < 0 else min(place, last))

    def action_move(self, by: int) -> None:
        """Go some lines on or back."""
        self.action_to(max(0, self.cursor + by))

    def action_page(self, by: int) -> None:
        """Go a screenful on or back."""
        self.action_to(max(0, self.cursor + by * max(1, self.size.height - 1)))

    def action_read(self) -> None:
        """Ask for the pair to be shown in full."""
        if self.book is not None and self.book.pair(self.cursor) is not None:
            self.post_message(self.Chosen(self.book, self.cursor))

    def on_click(self, event: Click) -> None:
        """Go to the line; a second click reads it."""
        place = event.y + self.scroll_offset.y
        if self.book is not None and place < self.book.matches:
            again = place == self.cursor
            self.action_to(place)
            if again:
                self.action_read()

    # --- drawing ---------------------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One pair, or what is the matter."""
        place, width = y + self.scroll_offset.y, self.scrollable_content_region.width - 1
        normal, muted = self.rich_style, self.get_component_rich_style("pairs--muted")
        if self.problem or self.book is None or not self.book.matches:
            return Strip([Segment(set_cell_size(self._message() if y == 0 else "", width), muted)])
        if place >= self.book.matches:
            return Strip([Segment(" " * width, normal)])
        pair = self.book.pair(place)
        if place == self.cursor:
            chosen = self.get_component_rich_style("pairs--cursor", partial=True)
            normal, muted = normal + chosen, muted + chosen
        if pair is None:
            return Strip([Segment(set_cell_size("◌", width), muted)])
        return _line(pair, width, normal, muted)

    def _message(self) -> str:
        if self.problem:
            return f"✖ {one_line(self.problem, self.size.width - 2).plain}"
        if self.book is None:
            return "◌ reading the pairs"
        return "No pair has all these words."


def _line(pair: BrowsedPair, width: int, normal: Style, muted: Style) -> Strip:
    topic = 0 if width < 44 else min(24, width // 4)
    split = set_cell_size(SPLITS.get(pair.split, pair.split), SPLIT) + GAP
    about = one_line(pair.topic, topic).plain if topic else ""
    middle = set_cell_size(about, topic) + GAP if topic else ""
    room = max(width - len(split) - topic - len(GAP) * bool(topic), 1)
    question = set_cell_size(one_line(pair.question, room).plain, room)
    return Strip([Segment(split, muted), Segment(middle, muted), Segment(question, normal)]).adjust_cell_length(width, normal)


class PairBrowser(Vertical):
    """A filter, shown while it is used, above the pairs."""

    DEFAULT_CSS = """
    PairBrowser { height: 1fr; min-height: 3; }
    PairBrowser > Input { display: none; background: $panel; padding: 0 1; }
    PairBrowser > Input.-used { display: block; }
    """

    @dataclass
    class Filtered(Message):
        """Other words are looked for."""

        query: str

    def compose(self) -> ComposeResult:
        """The filter, then the list."""
        yield Input(placeholder="words to look for in question, answer and topic", compact=True, max_length=200)
        yield PairList()

    def start_filter(self) -> None:
        """Show the filter and type into it."""
        words = self.query_one(Input)
        words.add_class("-used")
        words.focus()

    def leave_filter(self) -> None:
        """Back to all pairs."""
        words = self.query_one(Input)
        words.value = ""
        words.remove_class("-used")
        self.query_one(PairList).focus()

    @property
    def filtering(self) -> bool:
        """The filter is shown."""
        return self.query_one(Input).has_class("-used")

    @on(Input.Changed)
    def words_changed(self, event: Input.Changed) -> None:
        """Look for them at once."""
        event.stop()
        self.post_message(self.Filtered(event.value.strip()))

    @on(Input.Submitted)
    def words_done(self, event: Input.Submitted) -> None:
        """On to the list."""
        event.stop()
        self.query_one(PairList).focus()
