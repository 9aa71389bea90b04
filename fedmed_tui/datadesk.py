"""The data work of a session: asking the engine for it one piece at a time, and what was found out about the data folder.

Screens call `work` for what takes long (an import, a check; one at a time, with progress and cancel) and `ask` for a quick look.
Both return the events of the job, or raise what went wrong. Nothing here knows Textual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from engine.errors import EngineError
from engine.protocol import (
    AnyEvent,
    BrowsePairs,
    CheckOverlap,
    CompareHospitals,
    Failure,
    HospitalsCompared,
    ImportData,
    JobFinished,
    OverlapMeasured,
    PartitionData,
    PhiScanned,
    PreviewSource,
    Progress,
    RejectsFound,
    ReportData,
    ScanPhi,
)
from fedmed_tui.engine_client import EngineClient
from fedmed_tui.failures import as_error

DataCommand = BrowsePairs | CheckOverlap | CompareHospitals | ImportData | PartitionData | PreviewSource | ReportData | ScanPhi
One = TypeVar("One", bound=AnyEvent)


class Stopped(Exception):
    """The job was cancelled by a person: nothing went wrong."""


@dataclass
class Task:
    """The long piece of data work in progress."""

    job: str
    title: str
    """What is done, as a sentence begins: `Importing pairs.csv`."""
    progress: Progress | None = None
    stopping: bool = False


@dataclass
class _Asked:
    """A job whose end is awaited."""

    done: asyncio.Future[None]
    events: list[AnyEvent] = field(default_factory=list)
    failure: Failure | None = None
    of_this_folder: bool = True
    """The screens still show the folder that was asked about."""


class DataDesk:
    """Data work, and its findings about the folder on the screens.

    Args:
        engine: the running engine; raises EngineError when there is none.
        new_job: a job's name that was never used.
        changed: called when something on the screens is no longer up to date.
    """

    def __init__(
        self,
        engine: Callable[[], EngineClient],
        new_job: Callable[[str], str],
        changed: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._new_job = new_job
        self._changed = changed
        self._asked: dict[str, _Asked] = {}
        self.task: Task | None = None
        self.note = ""
        """How the last piece of work ended."""
        self.rejects: RejectsFound | None = None
        """Rows of the last import that could not be used."""
        self.comparison: HospitalsCompared | None = None
        self.overlap: OverlapMeasured | None = None
        self.phi: dict[str, PhiScanned] = {}
        """By hospital."""

    # --- asking ----------------------------------------------------------------------------------------------------------------

    async def ask(self, command: DataCommand) -> list[AnyEvent]:
        """The events of a job, once it is done; its name is chosen here.

        Raises:
            FedMedError: what the engine said, or that it is not running.
            Stopped: the job was cancelled.
        """
        job = self._new_job("data")
        return await self._end_of(job, self._sent(job, command))

    async def work(self, title: str, command: DataCommand) -> list[AnyEvent]:
        """As `ask`, for what takes long: shown as `task` meanwhile. Raises EngineError when there is such work already."""
        if self.task is not None:
            raise EngineError("other data work is in progress.", hint="Wait for its end, or press x to stop it.")
        job = self._new_job("data")
        asked = self._sent(job, command)
        self.task, self.note, self.rejects = Task(job, title), "", None
        self._changed()
        try:
            return await self._end_of(job, asked)
        finally:
            self.task = None
            self._changed()

    async def stop(self) -> None:
        """Cancel the work in progress, if there is any. Returns when it has stopped."""
        if self.task is not None and not self.task.stopping:
            self.task.stopping = True
            self._changed()
            await self._engine().cancel(self.task.job)

    def _sent(self, job: str, command: DataCommand) -> _Asked:
        self._engine().send(msgspec.structs.replace(command, job=job))
        asked = self._asked[job] = _Asked(asyncio.get_running_loop().create_future())
        return asked

    async def _end_of(self, job: str, asked: _Asked) -> list[AnyEvent]:
        try:
            await asked.done
        finally:
            self._asked.pop(job, None)
        if asked.failure is not None:
            raise as_error(asked.failure)
        return asked.events

    def forget(self) -> None:
        """Another folder is on the screens: what was found in the old one is not true of it."""
        self.comparison = self.overlap = None
        self.phi = {}
        for asked in self._asked.values():
            asked.of_this_folder = False

    # --- hearing ---------------------------------------------------------------------------------------------------------------

    def awaits(self, job: str) -> bool:
        """Somebody waits for this job here, and will be told of its failure."""
        return job in self._asked

    def take(self, event: AnyEvent) -> None:
        """One event from the engine. Those of other jobs change nothing."""
        job = getattr(event, "job", "")
        asked = self._asked.get(job)
        if asked is None or asked.done.done():
            return
        match event:
            case Progress():
                if self.task is not None and self.task.job == job:
                    self.task.progress = event
            case Failure():
                asked.failure = event
            case JobFinished(outcome="cancelled"):
                asked.done.set_exception(Stopped())
            case JobFinished():
                asked.done.set_result(None)
            case _:
                asked.events.append(event)
                self._note_finding(event, asked)

    def engine_ended(self) -> None:
        """No answer will come any more."""
        for asked in self._asked.values():
            if not asked.done.done():
                asked.done.set_exception(EngineError("the engine ended before this was done.", hint="Restart it and try again."))

    def _note_finding(self, event: AnyEvent, asked: _Asked) -> None:
        if isinstance(event, RejectsFound):
            self.rejects = event
        if not asked.of_this_folder:
            return
        match event:
            case HospitalsCompared():
                self.comparison = event
            case OverlapMeasured():
                self.overlap = event
            case PhiScanned():
                self.phi[event.hospital] = event


def only(events: list[AnyEvent], kind: type[One]) -> One:
    """The one event of a kind that a job always states. Raises EngineError when it did not."""
    for event in events:
        if isinstance(event, kind):
            return event
    raise EngineError(f"the engine gave no {kind.__name__}.", hint="Restart it and try again.")
