"""The run picker: earlier runs of this working folder, to look at or to go on with."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Static

from engine.manifest import Manifest
from fedmed_tui.runs import list_runs, unreadable_runs
from fedmed_tui.widgets.text import safe
from screens.dialog import Dialog

WORDS = {
    "done": "✔ finished",
    "cancelled": "■ stopped",
    "paused": "■ paused",
    "failed": "✖ failed",
    "interrupted": "▷ cut off",
    "running": "● elsewhere",
}


class RunPickerScreen(Dialog[tuple[str, str]]):
    """Choose a run and what to do with it: returns (`open` or `resume`, the run's name).

    Args:
        live: the run in progress, which is not "cut off"; empty while it has no name yet, None when there is none.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "resume", "Resume", id="runs.resume", tooltip="go on with the run from its last round")
    ]
    DEFAULT_CSS = """
    RunPickerScreen {
        & > .box { width: 84; }
        DataTable { height: auto; max-height: 16; }
    }
    """

    def __init__(self, live: str | None) -> None:
        super().__init__()
        self._live = live
        self._runs: list[Manifest] = []

    def compose(self) -> ComposeResult:
        """A table, or a sentence when there is nothing to choose from."""
        with Vertical(classes="box") as box:
            box.border_title = "Earlier runs"
            box.border_subtitle = "Enter open · r resume · Esc close"
            yield Static(Content("Reading the runs."), id="note", classes="hint")
            yield DataTable[Text](cursor_type="row", show_header=True, cell_padding=1)

    def on_mount(self) -> None:
        """Read the folder without holding up the screen."""
        table = self.query_one(DataTable)
        table.add_column(Text("run"))
        table.add_column(Text("started"))
        table.add_column(Text("rounds", justify="right"))
        table.add_column(Text("state"))
        self._read()

    @work
    async def _read(self) -> None:
        self._runs, left_out = await asyncio.to_thread(lambda: (list_runs(), len(unreadable_runs())))
        table = self.query_one(DataTable)
        for one in self._runs:
            words = "● in progress" if one.run == self._live else WORDS[one.status]
            started = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.created))
            rounds = Text(f"{one.completed} of {one.rounds}", justify="right")
            table.add_row(Text(safe(one.run)), Text(started), rounds, Text(words))
        note = self.query_one("#note", Static)
        note.display = bool(left_out) or not self._runs
        note.update(Content(_note(left_out)))
        table.display = bool(self._runs)
        table.focus()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter: put it on the screens."""
        self.dismiss(("open", self._runs[event.cursor_row].run))

    def action_resume(self) -> None:
        """Go on with it, if it has rounds left, or close it, if only its end was never written."""
        table = self.query_one(DataTable)
        if not self._runs:
            return
        chosen = self._runs[table.cursor_row]
        if chosen.completed >= chosen.rounds and chosen.status == "done":
            self.notify("This run has no rounds left to do.", severity="warning")
        elif self._live is not None:
            self.notify("A run is in progress. Stop it first (Esc, s), then resume this one.", severity="warning")
        else:
            self.dismiss(("resume", chosen.run))


def _note(left_out: int) -> str:
    """What is said where runs are left out, or where there is none."""
    if left_out:
        return f"Not listed: {left_out} of another version or damaged. `fedmed-tui runs` says which."
    return "There is no run in this folder yet. Press Esc, then s to start one."
