"""The Data screen: what each hospital holds, how it got there, and what a reviewer asks of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widget import Widget
from textual.widgets import DataTable, Input, Static

from engine.protocol import PartitionDescribed
from fedmed_tui.pairbook import PairBook
from fedmed_tui.splits import untested
from fedmed_tui.widgets.findings import Overlap, Phi
from fedmed_tui.widgets.lengths import LengthChart
from fedmed_tui.widgets.pairs import PairBrowser, PairList
from fedmed_tui.widgets.panel import Deck, Panel
from fedmed_tui.widgets.partition import PartitionFigure, PartitionTable, TaskLine, Topics
from fedmed_tui.widgets.text import safe
from screens.data_work import DataWork
from screens.dialog import one_at_a_time
from screens.pair import PairScreen

PAIRS = 0
"""Place in the deck."""


class DataScreen(DataWork):
    """Choose a hospital, see its partition; import, share out, check."""

    MODE = "data"
    APP_KEYS = frozenset(("help",))
    BINDINGS: ClassVar[list[BindingType]] = [
        *DataWork.BINDINGS,
        Binding("slash", "filter", "Filter", id="data.filter", key_display="/", tooltip="only pairs with these words"),
        Binding("escape", "back", "Back", show=False, id="data.back", tooltip="to all pairs, then to the hospitals"),
    ]
    DEFAULT_CSS = """
    DataScreen {
        #data { height: 1fr; layout: horizontal; }
        #choose { width: 56; height: 1fr; }
        #hospitals { height: auto; }
        #folder { height: auto; max-height: 4; color: $muted; padding: 0 2; }
        #topics { height: 2fr; }
        #lengths { height: 1fr; min-height: 9; }
        PartitionTable:focus { background-tint: $background 0%; }
    }
    DataScreen.-wide Deck #overlap, DataScreen.-wide Deck #phi { height: auto; max-height: 34%; }
    DataScreen.-medium, DataScreen.-small {
        #data { layout: vertical; }
        #choose { width: 1fr; height: auto; max-height: 60%; }
        #folder { max-height: 2; }
        #topics, #lengths { display: none; }
    }
    """
    AUTO_FOCUS = "PartitionTable"
    _listed: tuple[PartitionDescribed, str] | None = None
    """Whose pairs are listed, and which words they must have."""

    def body(self) -> Iterable[Widget]:
        """Hospitals, then the chosen one's pairs and what was found in them."""
        workspace = self.workspace
        hospitals = Panel("Hospitals", PartitionTable(workspace), id="hospitals")
        pairs = Panel("Pairs", PairBrowser(), id="pairs")
        lengths = Panel("Length of answers", LengthChart(workspace), id="lengths")
        more_lengths = Panel("Length of answers", LengthChart(workspace), tab="Lengths", classes="only-narrow")
        for panel in (hospitals, pairs, lengths, more_lengths):
            panel.can_focus = False  # there is nothing to scroll in them; Tab goes to what they hold
        choose = Container(
            hospitals,
            Static(id="folder", markup=False),
            TaskLine(workspace),
            Panel("Topics", Topics(workspace), id="topics"),
            lengths,
            id="choose",
        )
        deck = Deck(
            pairs,
            Panel("Topics", Topics(workspace), classes="only-narrow"),
            more_lengths,
            Panel("Copies and differences", Overlap(workspace), tab="Copies", id="overlap"),
            Panel("Identifying text", Phi(workspace), tab="PHI", id="phi"),
        )
        yield Container(choose, deck, id="data")

    # --- drawing ---------------------------------------------------------------------------------------------------------------

    def show_state(self) -> None:
        """Draw the table, then what its cursor is on."""
        super().show_state()
        self.query_one("#folder", Static).update(self._where())
        self._show_chosen()

    def key_state(self) -> tuple[object, ...]:
        """Also the work in progress."""
        task = self.workspace.desk.task
        return *super().key_state(), task is None, task is not None and task.stopping

    @on(DataTable.RowHighlighted)
    def hospital_chosen(self) -> None:
        """Show the hospital under the cursor."""
        self._show_chosen()

    @on(DataTable.RowSelected)
    def hospital_entered(self) -> None:
        """On to its pairs."""
        self.show_panel(PAIRS)
        self.call_after_refresh(self.query_one(PairList).focus)

    def _show_chosen(self) -> None:
        chosen = self.query_one(PartitionTable).chosen
        for figure in self.query(PartitionFigure):
            figure.partition = chosen
        for chart in self.query(LengthChart):
            chart.partition = chosen
        self._open_book(chosen)

    def _open_book(self, chosen: PartitionDescribed | None) -> None:
        """List the chosen hospital's pairs, unless they are listed already."""
        pairs = self.query_one(PairList)
        if chosen is None:
            self._listed = None
            pairs.close()
            return
        query = self.query_one(PairBrowser).query_one(Input).value.strip()
        wanted = (chosen, query)
        if wanted != self._listed:
            self._listed = wanted
            pairs.open(PairBook(self.workspace.desk, self.workspace.config.data.folder, chosen.hospital, query))

    @on(PairBrowser.Filtered)
    def filter_changed(self) -> None:
        """Other words are looked for."""
        self._open_book(self.query_one(PartitionTable).chosen)

    @on(PairList.Moved)
    def place_changed(self, event: PairList.Moved) -> None:
        """Say where in the pairs the cursor is."""
        book = event.pairs.book
        panel = self.query_one("#pairs", Panel)
        panel.border_title = Content(f"Pairs of {safe(book.hospital)}") if book else "Pairs"
        if book is None or not book.matches:
            panel.border_subtitle = ""
            return
        which = " that fit" if book.query else ""
        panel.border_subtitle = f"{event.pairs.cursor + 1:,} of {book.matches:,}{which}"

    def _where(self) -> Content:
        workspace = self.workspace
        if workspace.data_failure:
            return Content.assemble(("✖ ", "$error"), safe(workspace.data_failure))
        if workspace.data_job:
            return Content("◌ reading the partitions")
        folder = workspace.config.data.folder
        total = sum(one.pairs for one in workspace.partitions.values())
        sample = folder == "sample"
        where = "the sample corpus" if sample else safe(folder)
        licences = sorted({one.licence for one in workspace.partitions.values() if one.licence})
        terms = f", {safe(', '.join(licences))}" if licences else ""
        told = sample and not self.has_class("-small")  # elsewhere the source may have given the splits
        rule = " A topic is never in two splits." if told else ""
        missing = untested(workspace.partitions.values())
        warning = Content.styled(f"\n! {safe(missing)}", "$warning") if missing else Content("")
        return Content(f"{total:,} pairs in {where}{terms}.{rule}") + warning

    # --- looking at pairs ------------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Type words that pairs must have."""
        self.show_panel(PAIRS)
        self.call_after_refresh(self.query_one(PairBrowser).start_filter)

    def action_back(self) -> None:
        """From the filter to all pairs, from the pairs to the hospitals."""
        browser = self.query_one(PairBrowser)
        if browser.filtering:
            browser.leave_filter()
        else:
            self.query_one(PartitionTable).focus()

    @on(PairList.Chosen)
    @one_at_a_time("read")
    async def pair_chosen(self, event: PairList.Chosen) -> None:
        """Read pairs in full; the list follows."""
        at = await self.app.push_screen_wait(PairScreen(event.book, event.at))
        pairs = self.query_one(PairList)
        if at is not None and pairs.book is event.book:
            pairs.cursor = at
