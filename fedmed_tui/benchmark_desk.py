"""The benchmarks of a session: asking the engine for one, what it says as it goes, and the results that are looked at.

Sections come from the benchmark in progress, else from the newest results of the run that are on disk, else from the run's own
record, which is why the screen fills while a run trains. Nothing here knows Textual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.benchmark import recorded, saved
from engine.benchmark.record import RunRecord
from engine.benchmark.results import (
    SUITES,
    Aggregation,
    BenchmarkResults,
    Efficiency,
    Inference,
    Knowledge,
    Learning,
    Privacy,
    Safety,
    Speed,
)
from engine.errors import FedMedError
from engine.protocol import AnyEvent, BenchmarkFinished, JobFinished, RunBenchmark
from fedmed_tui.benchmarking import Benchmarking
from fedmed_tui.engine_client import EngineClient
from fedmed_tui.state import RunState

LONG = 100
"""Rounds after which the panels follow the record round by round, not event by event."""


@dataclass(frozen=True)
class Saved:
    """Results, and the folder they lie in."""

    folder: Path
    results: BenchmarkResults


@dataclass(frozen=True, kw_only=True)
class Sections:
    """What the panels show. None where nothing was measured."""

    efficiency: Efficiency | None = None
    learning: Learning | None = None
    aggregation: Aggregation | None = None
    privacy: Privacy | None = None
    inference: Inference | None = None
    knowledge: Knowledge | None = None
    safety: Safety | None = None
    speed: Speed | None = None

    @classmethod
    def recorded(cls, record: RunRecord, known: recorded.Known) -> Sections:
        """What the record of a run tells at this moment, traffic added up over hospitals."""
        return cls(
            learning=recorded.learning(record, known),
            aggregation=recorded.aggregation(record, known),
            privacy=recorded.privacy_in_sum(record, known),
            speed=recorded.speed(record, known),
        )

    def overlaid(self, results: BenchmarkResults) -> Sections:
        """What was measured, and these sections where nothing was."""
        measured: dict[str, Any] = {suite: getattr(results, suite) or getattr(self, suite) for suite in SUITES}
        return Sections(**measured)


class BenchmarkDesk:
    """One benchmark at a time, and the results of the run on the screens.

    Args:
        engine: the running engine; raises EngineError when there is none.
        new_job: a job's name that was never used.
        changed: called when something on the screens is no longer up to date.
    """

    def __init__(self, engine: Callable[[], EngineClient], new_job: Callable[[str], str], changed: Callable[[], None]) -> None:
        self._engine = engine
        self._new_job = new_job
        self._changed = changed
        self.going: Benchmarking | None = None
        """The benchmark in progress."""
        self.stopping = False
        self.note = ""
        """How the last benchmark ended."""
        self.before: Saved | None = None
        """Earlier results that the shown ones are compared with."""
        self.unpictured: Saved | None = None
        """Results that wait for a picture of the screen."""
        self._told: tuple[tuple[int, int, int], Sections] | None = None  # of which record at which point, and what it told
        self._known = recorded.Known()
        self._newest: dict[str, Saved | None] = {}  # by run, as found on disk
        self._chosen: tuple[str, Saved] | None = None  # the run on the screens when they were chosen, and the results

    @property
    def job(self) -> str:
        """The benchmark in progress; empty when there is none."""
        return self.going.job if self.going is not None else ""

    # --- what is shown ---------------------------------------------------------------------------------------------------------

    def shown(self, run: RunState) -> Saved | None:
        """Results on disk that are looked at: those that were chosen, else the run's newest at the round where it stands."""
        if self._chosen is not None and self._chosen[0] == run.run:
            return self._chosen[1]
        newest = self._newest.get(run.run)
        return newest if newest is not None and newest.results.rounds == run.completed else None

    def results(self, run: RunState) -> BenchmarkResults | None:
        """The results of the benchmark in progress where it is about this run, else those on disk that are looked at."""
        if self.going is not None and self.going.results is not None and self.going.results.run == run.run:
            return self.going.results
        shown = self.shown(run)
        return shown.results if shown is not None else None

    def sections(self, run: RunState) -> Sections:
        """What the panels show."""
        results = self.results(run)
        if results is None:
            return self._recorded(run)
        return (self._recorded(run) if results.run == run.run else Sections()).overlaid(results)

    def _recorded(self, run: RunState) -> Sections:
        """What the record tells. Of a long run, what it told at the end of the last round."""
        now = (id(run.record), run.completed, 0 if run.completed > LONG else run.last_seq)
        if self._told is None or self._told[0] != now:
            if self._told is None or self._told[0][0] != now[0]:
                self._known = recorded.Known()
            self._told = now, Sections.recorded(run.record, self._known)
        return self._told[1]

    def choose(self, run: RunState, saved: Saved) -> None:
        """Look at these results until another run is put on the screens."""
        self._chosen = (run.run, saved)
        self._changed()

    def compare_with(self, saved: Saved | None) -> None:
        """Compare what is shown with these results; with nothing any more when None."""
        self.before = saved
        self._changed()

    async def look_up(self, run: str) -> None:
        """Find the newest results of a run on disk, once."""
        if not run or run in self._newest:
            return
        self._newest[run] = None  # so that nobody else looks too
        found = [Saved(folder, results) for folder, results in await asyncio.to_thread(saved.list_results)]
        self._newest[run] = next((one for one in found if one.results.run == run), None)
        self._changed()

    # --- asking and hearing ----------------------------------------------------------------------------------------------------

    def measure(self, request: RunBenchmark) -> None:
        """Ask for a benchmark; its job's name is chosen here. What goes wrong becomes `note`."""
        if self.going is not None:
            return
        job = self._new_job("benchmark")
        words = {name: getattr(request, name) for name in request.__struct_fields__}
        try:
            self._engine().send(RunBenchmark(**(words | {"job": job})))
        except FedMedError as error:
            self.note = f"✖ {error}"
        else:
            self.going, self.stopping, self.note, self._chosen = Benchmarking(job), False, "", None
        self._changed()

    async def stop(self) -> None:
        """Cancel the benchmark in progress. Returns when it has stopped."""
        if self.going is not None:
            self.stopping = True
            self._changed()
            await self._engine().cancel(self.going.job)

    def take(self, event: AnyEvent) -> None:
        """One event from the engine. Those of other jobs change nothing."""
        going = self.going
        if going is None:
            return
        going.take(event)
        if isinstance(event, BenchmarkFinished) and event.job == going.job:
            self.unpictured = self._newest[event.results.run] = Saved(Path(event.folder), event.results)
        if isinstance(event, JobFinished) and event.job == going.job:
            self._close(going, event)

    def _close(self, going: Benchmarking, event: JobFinished) -> None:
        if event.outcome == "cancelled":
            self.note = "■ Stopped. Nothing was written."
        elif going.failure is not None:
            self.note = f"✖ {FedMedError(going.failure.message, where=going.failure.where, hint=going.failure.hint)}"
        else:
            self.note = f"✔ Written to {going.folder}"
        self.going, self.stopping = None, False

    def engine_ended(self) -> None:
        """No results will come any more."""
        if self.going is not None:
            self.going, self.stopping, self.note = None, False, "✖ The engine ended before the benchmark was complete."
