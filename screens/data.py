"""The Data screen: what each hospital holds."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import Container
from textual.content import Content
from textual.widget import Widget
from textual.widgets import DataTable, Static

from fedmed_tui.widgets.panel import Deck, Panel
from fedmed_tui.widgets.partition import Examples, Kinds, PartitionFigure, PartitionTable, Topics
from fedmed_tui.widgets.text import safe
from screens.base import ModeScreen


class DataScreen(ModeScreen):
    """Choose a hospital, see its partition."""

    MODE = "data"
    DEFAULT_CSS = """
    DataScreen {
        #data { height: 1fr; layout: horizontal; }
        #choose { width: 52; height: 1fr; }
        #hospitals { height: auto; max-height: 40%; }
        #folder { height: auto; color: $muted; padding: 0 2; }
        #kinds { height: auto; max-height: 40%; }
        #topics { height: 1fr; }
        PartitionTable:focus { background-tint: $background 0%; }
    }
    DataScreen.-medium, DataScreen.-small {
        #data { layout: vertical; }
        #choose { width: 1fr; height: auto; max-height: 50%; }
        #hospitals { max-height: 100%; }
        #kinds, #topics { display: none; }
    }
    """
    AUTO_FOCUS = "PartitionTable"

    def body(self) -> Iterable[Widget]:
        """Hospitals, then the chosen one's pairs."""
        workspace = self.workspace
        panel = Panel("Hospitals", PartitionTable(workspace), id="hospitals")
        choose = Container(
            panel,
            Static(id="folder", markup=False),
            Panel("Kinds of question", Kinds(workspace), id="kinds"),
            Panel("Largest topics", Topics(workspace), id="topics"),
            id="choose",
        )
        deck = Deck(
            Panel("Examples", Examples(workspace)),
            Panel("Kinds of question", Kinds(workspace), tab="Kinds", classes="only-narrow"),
            Panel("Largest topics", Topics(workspace), tab="Topics", classes="only-narrow"),
        )
        yield Container(choose, deck, id="data")

    def show_state(self) -> None:
        """Draw the table, then what its cursor is on."""
        super().show_state()
        self.query_one("#folder", Static).update(self._where())
        self._show_chosen()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Show the hospital under the cursor."""
        self._show_chosen()

    def _show_chosen(self) -> None:
        chosen = self.query_one(PartitionTable).chosen
        for figure in self.query(PartitionFigure):
            figure.partition = chosen

    def _where(self) -> Content:
        workspace = self.workspace
        if workspace.data_failure:
            return Content.assemble(("✖ ", "$error"), safe(workspace.data_failure))
        if workspace.data_job:
            return Content("◌ reading the partitions")
        folder = workspace.config.data.folder
        total = sum(one.train + one.validation + one.test for one in workspace.partitions.values())
        where = "the sample corpus" if folder == "sample" else safe(folder)
        return Content(f"{total:,} pairs in {where}. A topic is never in two splits.")
