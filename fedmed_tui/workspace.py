"""Everything the screens show and a person can ask for, without a screen: the engine, the run, the data, the conversations.

Screens read its fields and call its methods; events change it; `on_change` tells whoever draws. Nothing here knows Textual.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import singledispatchmethod
from itertools import count
from typing import Literal

import msgspec

from engine.errors import EngineError, FedMedError
from engine.protocol import (
    AnyEvent,
    DescribeData,
    Failure,
    JobFinished,
    ModelLoaded,
    PartitionDescribed,
    ResumeRun,
    RunStarted,
    Stamped,
    StartRun,
)
from engine.settings import AggregationSettings, RunConfig, preset
from fedmed_tui import runs
from fedmed_tui.benchmark_desk import BenchmarkDesk
from fedmed_tui.chatdesk import ChatDesk, Place
from fedmed_tui.conversation import Conversation
from fedmed_tui.datadesk import DataDesk
from fedmed_tui.engine_client import ENGINE_ARGV, EngineClient, EngineExit
from fedmed_tui.engine_status import EngineStatus
from fedmed_tui.state import RunState
from fedmed_tui.what_if import WhatIfDesk

Activity = Literal["starting", "ready", "loading", "training", "stopping", "answering", "measuring", "ended"]


class Workspace:
    """One person's session.

    Args:
        engine_argv: the engine process to run.
        clock: the time now, in Unix seconds.
    """

    def __init__(self, engine_argv: tuple[str, ...] = ENGINE_ARGV, clock: Callable[[], float] = time.time) -> None:
        self._argv = engine_argv
        self._client: EngineClient | None = None
        self._numbers = count(1)
        self.clock = clock
        self.on_change: Callable[[], None] = lambda: None
        self.on_failure: Callable[[Failure], None] = lambda failure: None

        self.status = EngineStatus()
        self.config: RunConfig = preset("demo")
        """What the next run will be started with."""
        self.live = RunState()
        """The run in progress, or the last one."""
        self._before = self.live  # on the screens until the last start
        self.opened: RunState | None = None
        """An earlier run that is looked at while another one trains."""
        self.partitions: dict[str, PartitionDescribed] = {}
        desk = (lambda: self._engine, self._new_job, lambda: self.on_change())  # noqa: PLW0108 (it is set later)
        self.desk = DataDesk(*desk)
        self.what_if = WhatIfDesk(*desk)
        self.benchmarks = BenchmarkDesk(*desk)
        self.chat = ChatDesk(*desk, self._failed)
        self._desks = (self.desk, self.what_if, self.benchmarks, self.chat)
        self.stopping = False
        self.preparing = False
        """A run was asked for and has not begun."""
        self.interrupted: RunState | None = None
        """The run that the engine worked on when it died."""
        self._reader: runs.Reader | None = None  # where another window's engine may be working on the run on the screens
        self.run_job = self.data_job = self.data_failure = ""

    # --- what is going on ------------------------------------------------------------------------------------------------------

    @property
    def run(self) -> RunState:
        """The run on the screens."""
        return self.opened or self.live

    @property
    def training(self) -> bool:
        """A run is in progress (or being prepared, or stopped)."""
        return bool(self.run_job)

    @property
    def activity(self) -> Activity:
        """What the engine does now, in one word."""
        if self.status.exit is not None:
            return "ended"
        if not self.status.ready:
            return "starting"
        if self.stopping:
            return "stopping"
        progress = self.status.progress
        if self.preparing or (progress is not None and progress.job in (self.run_job, self.chat.job)):
            return "loading"
        if self.run_job:
            return "training"
        measuring = self.benchmarks.going is not None
        return "answering" if self.chat.job else "measuring" if measuring else "ready"

    @property
    def resumable(self) -> bool:
        """The run on the screens has rounds left, or its end was never written, and nothing is working on it."""
        run = self.run
        return bool(run.run) and not self.training and (run.completed < run.total_rounds or run.finished is None)

    # --- the engine ------------------------------------------------------------------------------------------------------------

    async def open_engine(self) -> None:
        """Start the engine and ask it for the data. Raises EngineError when it cannot be started."""
        self.status = EngineStatus()
        self.on_change()
        client = EngineClient(self.take, self._engine_ended, attached=True, argv=self._argv)
        try:
            await client.start()
        except EngineError as error:
            self.status.end(EngineExit(code=-1, expected=False, sentence=str(error)))
            self.on_change()
            raise
        self._client = client
        self.describe_data()

    async def restart_engine(self) -> None:
        """Start a new engine after the old one died, and go on with the run it was working on from its last round."""
        await self.open_engine()
        interrupted, self.interrupted = self.interrupted, None
        if interrupted is not None and interrupted.run:
            self.resume_run(interrupted)
        elif interrupted is not None:  # it died before its first event: nothing to resume
            self.start_run(self.config)

    async def close(self) -> None:
        """End the engine. Returns when it is gone and every answer is kept."""
        if self._client is not None:
            await self._client.stop()
        await self.chat.settle()

    # --- commands: each raises EngineError when the engine is not running ------------------------------------------------------

    def describe_data(self) -> None:
        """Ask for the partitions of the data folder."""
        self.data_job = self._new_job("data")
        self.partitions, self.data_failure = {}, ""
        self.desk.forget()
        self._engine.send(DescribeData(job=self.data_job, folder=self.config.data.folder))

    def use_folder(self, folder: str) -> None:
        """Make a folder the next run's data, with every hospital in it, and ask for its partitions."""
        data = msgspec.structs.replace(self.config.data, folder=folder, hospitals=())
        self.config = msgspec.structs.replace(self.config, data=data)
        self.describe_data()

    def use_rules(self, rules: AggregationSettings) -> None:
        """Find the next run's weights like this."""
        self.config = msgspec.structs.replace(self.config, aggregation=rules)
        self.on_change()

    def start_run(self, config: RunConfig) -> str:
        """Start a new run; returns its name."""
        name = runs.new_run_name(config, self.clock())
        job = self._new_job("run")
        self._engine.send(StartRun(job=job, run=name, config=config))
        if config.data.folder != self.config.data.folder:
            self.config = config
            self.describe_data()
        self._before = self.live
        self.config, self.live = config, RunState()
        self._expect(job)
        return name

    def resume_run(self, state: RunState) -> None:
        """Go on with a run from its last complete round."""
        job = self._new_job("run")
        self._engine.send(ResumeRun(job=job, run=state.run))
        self.live = state
        state.finished = None
        self._expect(job)

    def _expect(self, job: str) -> None:
        self.run_job, self.preparing, self.opened, self._reader = job, True, None, None
        self.on_change()

    async def stop_run(self) -> None:
        """Cancel the run in progress: politely, then with force. Returns when it has stopped."""
        if not self.run_job:
            return
        self.stopping = True
        self.on_change()
        await self._engine.cancel(self.run_job, at_any_price=True)

    def show_run(self, state: RunState) -> None:
        """Put an earlier run on the screens; a run in progress goes on behind it."""
        if not self.training:
            self.live, self.opened = state, None
        else:
            self.opened = state if state.run != self.live.run else None
        self._reader = runs.Reader(state.run, state.last_seq) if self.run is state and state.finished is None else None
        self.on_change()

    async def follow(self) -> None:
        """Take in what another window's engine has added to the record of the run on the screens. Reads, never writes."""
        reader = self._reader
        fresh = await asyncio.to_thread(reader.fresh) if reader is not None else []
        if fresh and self._reader is reader:
            for stamped in fresh:
                self.run.apply(stamped)
            self.on_change()

    def leave_run(self) -> None:
        """Put the run in progress back on the screens."""
        self.opened = self._reader = None
        self.on_change()

    def conversation(self, adapters: tuple[str, ...]) -> Conversation:
        """The transcript with adapters of the run on the screens."""
        return self.chat.conversation(self.run.run, adapters)

    @property
    def place(self) -> Place:
        """Whose adapters are asked: those of the run on the screens."""
        return Place(self.run.run, self.run.config or self.config, live=self.training and self.opened is None)

    @property
    def _engine(self) -> EngineClient:
        if self._client is None or not self._client.running:
            raise EngineError("the engine is not running.", hint="Press r to restart it.")
        return self._client

    def _new_job(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers)}"

    # --- events ----------------------------------------------------------------------------------------------------------------

    def take(self, stamped: Stamped) -> None:
        """One event from the engine. Only those of the run in progress change it: the engine answers questions meanwhile."""
        event = stamped.event
        of_run = self.run_job and getattr(event, "job", self.run_job) == self.run_job
        if of_run and not (self.preparing and isinstance(event, ModelLoaded)):  # the run's own record names the model again
            self.live.apply(stamped)
        self.status.take(event)
        self._handle(event)
        for desk in self._desks:
            desk.take(event)
        self.on_change()

    def _engine_ended(self, ended: EngineExit) -> None:
        self.status.end(ended)
        if self.run_job and not ended.expected and not self.stopping:
            self.interrupted = self.live
        self.stopping = self.preparing = False
        self.run_job = self.data_job = ""
        for desk in self._desks:
            desk.engine_ended()
        self.on_change()

    @singledispatchmethod
    def _handle(self, event: AnyEvent) -> None:
        """Events that concern the run or the process alone."""

    @_handle.register
    def _(self, event: RunStarted) -> None:
        self.preparing = False

    @_handle.register
    def _(self, event: PartitionDescribed) -> None:
        if event.job == self.data_job:  # an import describes its own, of another folder
            self.partitions[event.hospital] = event

    @_handle.register
    def _(self, event: Failure) -> None:
        sentence = " ".join(part for part in (event.message, event.hint) if part)
        if event.job == self.data_job:
            self.data_failure = sentence
        elif event.job not in (self.what_if.job, self.chat.job, self.benchmarks.job) and not self.desk.awaits(event.job):
            self.on_failure(event)

    @_handle.register
    def _(self, event: JobFinished) -> None:
        if event.job == self.run_job:
            self.run_job = ""
            self.stopping = self.preparing = False
            if not self.live.run:  # it did not begin: what was on the screens comes back
                self.live = self._before
        elif event.job == self.data_job:
            self.data_job = ""

    def _failed(self, error: FedMedError) -> None:
        self.on_failure(Failure(job="", title=error.title, message=error.message, where=error.where, hint=error.hint))
