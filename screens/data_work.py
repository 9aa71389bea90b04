"""The long pieces of data work that the Data screen starts: import, share out, look for copies and for identifying text."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from textual import work
from textual.binding import Binding, BindingType
from textual.widgets import Input

from engine.errors import FedMedError
from engine.protocol import (
    CheckOverlap,
    CompareHospitals,
    DataReported,
    ImportData,
    ImportFinished,
    OverlapMeasured,
    PartitionData,
    PartitionDescribed,
    PhiScanned,
    RejectsFound,
    ReportData,
    ScanPhi,
)
from fedmed_tui.datadesk import Stopped, only
from fedmed_tui.units import duration
from fedmed_tui.widgets.panel import Deck
from fedmed_tui.widgets.text import safe
from screens.base import ModeScreen
from screens.confirm import Answer, ConfirmScreen
from screens.dialog import one_at_a_time
from screens.import_data import ImportScreen
from screens.imported import ImportedScreen
from screens.partition_data import PartitionScreen

STARTS = ("import_data", "partition_data", "find_copies", "find_phi", "write_sheet")
"""Actions that begin a long piece of work: one at a time."""
OVERLAP, PHI = 3, 4
"""Places in the deck."""


class DataWork(ModeScreen):
    """One piece of work at a time, with progress and cancel; how it ended is said below the hospitals."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "import_data", "Import", id="data.import", tooltip="turn a file, archive or hub data set into partitions"),
        Binding("p", "partition_data", "Partition", id="data.partition", tooltip="share pairs out among hospitals"),
        Binding("d", "find_copies", "Copies", id="data.copies", tooltip="what is there twice, and how hospitals differ"),
        Binding("f", "find_phi", "PHI", id="data.phi", tooltip="look for text that identifies somebody"),
        Binding("x", "cancel_task", "Cancel", id="data.cancel", tooltip="stop the data work in progress"),
        Binding("w", "write_sheet", "Data sheet", show=False, id="data.sheet", tooltip="write Markdown and JSON for a reviewer"),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What makes sense now; while something is typed, single keys belong to it."""
        if isinstance(self.focused, Input) and action in (*STARTS, "cancel_task"):
            return False
        return self.makes_sense(action)

    def makes_sense(self, action: str) -> bool:
        """One piece of work at a time."""
        desk = self.workspace.desk
        if action in STARTS:
            return desk.task is None and self.workspace.status.ready
        if action == "cancel_task":
            return desk.task is not None and not desk.task.stopping
        return True

    def show_panel(self, place: int) -> None:
        """Turn the deck to a panel."""
        self.query_one(Deck).chosen = place

    @one_at_a_time("data")
    async def action_import_data(self) -> None:
        """Ask what to import and how, then do it."""
        command = await self.app.push_screen_wait(ImportScreen(self.workspace.desk))
        if command is not None:
            await self._bring_in(f"Importing {command.source.rpartition('/')[2]}", command)

    @one_at_a_time("data")
    async def action_partition_data(self) -> None:
        """Ask how to share out, then do it."""
        command = await self.app.push_screen_wait(PartitionScreen(self.workspace.config.data.folder))
        if command is not None:
            await self._bring_in(f"Sharing out {command.source}", command)

    async def _bring_in(self, title: str, command: ImportData | PartitionData) -> None:
        """Import; when too much cannot be used, ask and do it again. Then show the new folder, which the next run uses."""
        desk = self.workspace.desk
        try:
            events = await desk.work(title, command)
            done = only(events, ImportFinished)
            self.workspace.use_folder(command.target)
        except FedMedError as error:
            rejects = desk.rejects
            if rejects is None or not rejects.too_many:
                self._complain(error)
            elif await self._import_the_rest(rejects):
                options = msgspec.structs.replace(command.options, allow_rejects=True)
                await self._bring_in(title, msgspec.structs.replace(command, options=options))
            return
        except Stopped:
            self._say("■ Stopped. Nothing was replaced.")
            return
        count = len(done.hospitals)
        hospitals, took = f"{count:,} hospital{'s' if count != 1 else ''}", duration(done.seconds)
        self._say(f"✔ {done.kept:,} pairs of {hospitals} in {took}. The next run uses them.")
        if self.is_current:
            partitions = [event for event in events if isinstance(event, PartitionDescribed)]
            self.app.push_screen(ImportedScreen(done, partitions, desk.rejects))

    async def _import_the_rest(self, rejects: RejectsFound) -> bool:
        reasons = "\n".join(f"{count:>7,}  {reason}" for reason, count in rejects.reasons.items())
        question = f"{rejects.rejected:,} of {rejects.rows:,} rows cannot be used:\n{reasons}\nAll are listed in {rejects.file}."
        answers = (Answer("no", "n", "import nothing"), Answer("yes", "y", "import the rest"))
        return await self.app.push_screen_wait(ConfirmScreen("Import", question, answers)) == "yes"

    @one_at_a_time("data")
    async def action_find_copies(self) -> None:
        """Look for copies, and measure how hospitals differ."""
        desk, folder = self.workspace.desk, self.workspace.config.data.folder
        self.show_panel(OVERLAP)
        try:
            found = only(await desk.work("Looking for copies", CheckOverlap(job="", folder=folder)), OverlapMeasured)
            await desk.work("Comparing hospitals", CompareHospitals(job="", folder=folder))
        except (FedMedError, Stopped) as error:
            self._ended_early(error)
            return
        copies = sum(cell.exact + cell.near for cell in found.cells)
        self._say(f"✔ Looked for copies in {duration(found.seconds)}: {copies:,} found.")

    @one_at_a_time("data")
    async def action_find_phi(self) -> None:
        """Look for identifying text at every hospital."""
        self.show_panel(PHI)
        started = self.workspace.clock()
        try:
            events = await self.workspace.desk.work(
                "Looking for identifying text", ScanPhi(job="", folder=self.workspace.config.data.folder)
            )
        except (FedMedError, Stopped) as error:
            self._ended_early(error)
            return
        scans = [event for event in events if isinstance(event, PhiScanned)]
        affected, pairs = sum(one.affected for one in scans), sum(one.pairs for one in scans)
        took = duration(self.workspace.clock() - started)
        self._say(f"✔ Scanned {pairs:,} pairs in {took}: findings in {affected:,}.")

    @one_at_a_time("data")
    async def action_write_sheet(self) -> None:
        """Write the data sheet."""
        folder = self.workspace.config.data.folder
        try:
            written = await self.workspace.desk.work("Writing the data sheet", ReportData(job="", folder=folder))
            sheet = only(written, DataReported)
        except (FedMedError, Stopped) as error:
            self._ended_early(error)
            return
        self._say(f"✔ Data sheet: {sheet.markdown}")

    @work(exclusive=True, group="cancel")
    async def action_cancel_task(self) -> None:
        """Stop the data work in progress: politely, then with force."""
        await self.workspace.desk.stop()

    def _ended_early(self, error: FedMedError | Stopped) -> None:
        if isinstance(error, FedMedError):
            self._complain(error)
        else:
            self._say("■ Stopped.")

    def _complain(self, error: FedMedError) -> None:
        self._say(f"✖ {error}")
        self.app.notify(safe(str(error)), title=safe(error.title), severity="error", timeout=12, markup=False)

    def _say(self, text: str) -> None:
        """A line below the hospitals; a toast where that cannot be seen."""
        self.workspace.desk.note = text
        self.workspace.on_change()
        if self.app.screen_stack[0] is not self and not text.startswith("✖"):
            self.app.notify(safe(text), markup=False)
