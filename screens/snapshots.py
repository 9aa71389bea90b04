"""The snapshot picker: benchmark results of this working folder and what ctrl+e has written, to look at or to compare with."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Static

from engine import locations
from engine.benchmark.saved import list_results
from fedmed_tui.benchmark_desk import Saved
from fedmed_tui.export import list_exports
from fedmed_tui.widgets.text import safe
from screens.dialog import Dialog
from screens.exported import ExportedScreen

Choice = tuple[Literal["open", "compare"], Saved | None]


@dataclass(frozen=True)
class Snapshot:
    """One folder: results that can be looked at, or an export of a run, which holds its numbers as they were."""

    folder: Path
    run: str
    written: float
    kind: Literal["full", "quick", "export"]
    saved: Saved | None = None


class SnapshotsScreen(Dialog[Choice]):
    """Choose results and what to do with them: returns (`open` or `compare`, the results); None ends a comparison.

    Args:
        before: what is compared with now, if anything.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "compare", "Compare", id="snapshots.compare", tooltip="what is on the screen with these results"),
        Binding("n", "compare_with_nothing", "No comparison", id="snapshots.alone", tooltip="end the comparison"),
    ]
    DEFAULT_CSS = """
    SnapshotsScreen {
        & > .box { width: 96; }
        DataTable { height: auto; max-height: 16; }
    }
    """

    def __init__(self, before: Saved | None) -> None:
        super().__init__()
        self._before = before
        self._found: list[Snapshot] = []

    def compose(self) -> ComposeResult:
        """A table, or a sentence when there is nothing to choose from."""
        with Vertical(classes="box") as box:
            box.border_title = "Snapshots"
            more = " · n no comparison" if self._before is not None else ""
            box.border_subtitle = f"Enter look at · d compare with{more} · Esc close"
            yield Static(Content("Reading the results."), id="note", classes="hint")
            yield DataTable[Text](cursor_type="row", show_header=True, cell_padding=1)

    def on_mount(self) -> None:
        """Read the folders without holding up the screen."""
        table = self.query_one(DataTable)
        for title in ("written", "kind", "run", "folder"):
            table.add_column(Text(title))
        self._read()

    @work
    async def _read(self) -> None:
        self._found = await asyncio.to_thread(snapshots)
        table = self.query_one(DataTable)
        for one in self._found:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.written))
            mark = "◂ compared with" if self._before is not None and one.folder == self._before.folder else ""
            table.add_row(Text(when), Text(one.kind), Text(safe(one.run)), Text(f"{safe(one.folder.name)} {mark}".strip()))
        note = self.query_one("#note", Static)
        note.display = not self._found
        note.update(Content("There are none in this folder yet. Press Esc, then m to measure, or ctrl+e to export."))
        table.display = bool(self._found)
        table.focus()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter: look at it. An export is a report to read."""
        one = self._found[event.cursor_row]
        if one.saved is None:
            self.app.push_screen(ExportedScreen(one.folder))
        else:
            self.dismiss(("open", one.saved))

    def action_compare(self) -> None:
        """Compare what is on the screen with the chosen results."""
        if not self._found:
            return
        one = self._found[self.query_one(DataTable).cursor_row]
        if one.saved is None:
            self.notify("An export holds one run's record. Choose a full or quick benchmark.", severity="warning", markup=False)
        else:
            self.dismiss(("compare", one.saved))

    def action_compare_with_nothing(self) -> None:
        """End the comparison."""
        if self._before is not None:
            self.dismiss(("compare", None))


def snapshots() -> list[Snapshot]:
    """Everything that can be chosen from, newest first."""
    results = [
        Snapshot(folder, one.run, one.created, "quick" if one.quick else "full", Saved(folder, one))
        for folder, one in list_results()
    ]
    exports = [Snapshot(folder, run, written, "export") for folder, run, written in list_exports(locations.runs_folder())]
    return sorted([*results, *exports], key=lambda one: one.written, reverse=True)
