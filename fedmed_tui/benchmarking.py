"""A benchmark as a screen or a command line shows it, rebuilt from its events. Nothing here draws or does I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.benchmark.results import BenchmarkResults
from engine.protocol import (
    AnyEvent,
    BenchmarkFinished,
    BenchmarkProgress,
    BenchmarkStarted,
    Failure,
    JobFinished,
    PlannedItem,
    SuiteMeasured,
)


@dataclass
class Benchmarking:
    """The benchmark with this job's name; events of other jobs change nothing."""

    job: str
    plan: tuple[PlannedItem, ...] = ()
    results: BenchmarkResults | None = None
    """Everything so far; sections appear as their suites have run."""
    progress: BenchmarkProgress | None = None
    folder: str = ""
    """Where the results are; empty until they are written."""
    failure: Failure | None = None
    ended: bool = False
    fractions: list[float] = field(default_factory=list)
    """How far each planned item has come, 0 to 1."""

    def take(self, event: AnyEvent) -> None:
        """Take one event in."""
        match event:
            case BenchmarkStarted(job=self.job):
                self.plan, self.results = event.plan, event.results
                self.fractions = [0.0] * len(event.plan)
            case BenchmarkProgress(job=self.job):
                self.progress = event
                self.fractions[: event.number] = [1.0] * event.number
                self.fractions[event.number] = event.fraction
            case SuiteMeasured(job=self.job):
                self.results = event.results
                done = 1 + max((at for at, item in enumerate(self.plan) if item.suite == event.suite), default=-1)
                self.fractions[:done] = [1.0] * done
            case BenchmarkFinished(job=self.job):
                self.results, self.folder = event.results, event.folder
            case Failure(job=self.job):
                self.failure = event
            case JobFinished(job=self.job):
                self.ended = True

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end; None until there is a pace, and after the end."""
        return None if self.ended or self.progress is None else self.progress.seconds_left
