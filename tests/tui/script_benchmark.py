"""A benchmark written out: what an engine says while it measures a made-up run. Shared by the tests and the fake engine."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from engine.benchmark.results import QUICK, SUITES, BenchmarkResults, Suite
from engine.benchmark.write import write
from engine.protocol import (
    AnyEvent,
    BenchmarkFinished,
    BenchmarkProgress,
    BenchmarkStarted,
    PlannedItem,
    RunBenchmark,
    SuiteMeasured,
)
from tests.benchmark import samples

TICKS = 20
"""Progress events of an item."""
MINUTE = 60.0


def measure(command: RunBenchmark) -> Iterator[AnyEvent]:
    """Every suite in turn, one item each; the folder is really written."""
    complete = samples.results(command.run, quick=command.quick)
    suites = [suite for suite in (QUICK if command.quick else SUITES) if not command.suites or suite in command.suites]
    results = replace(complete, **dict.fromkeys(SUITES))
    plan = tuple(PlannedItem(suite=suite, item=f"the work of {suite}") for suite in suites)
    yield BenchmarkStarted(job=command.job, run=command.run, quick=command.quick, plan=plan, results=results)
    for number, suite in enumerate(suites):
        for tick in range(TICKS):
            yield progress(command.job, suite, number, tick / TICKS, len(suites))
        results = replace(results, **{suite: getattr(complete, suite)})
        yield SuiteMeasured(job=command.job, suite=suite, results=results)
    yield BenchmarkFinished(job=command.job, folder=str(write(results)), results=results)


def progress(job: str, suite: Suite, number: int, fraction: float, items: int) -> BenchmarkProgress:
    """An item has come so far; items take a minute each."""
    done = (number + fraction) / items
    return BenchmarkProgress(
        job=job,
        suite=suite,
        item=f"the work of {suite}",
        number=number,
        fraction=fraction,
        overall=done,
        seconds_left=MINUTE * items * (1 - done),
    )


def started(job: str, run: str) -> BenchmarkStarted:
    """A full benchmark with two items planned, and nothing measured yet."""
    results: BenchmarkResults = replace(samples.results(run), **dict.fromkeys(SUITES))
    items = (("efficiency", "counting weights"), ("learning", "all pairs trained in one place"))
    plan = tuple(PlannedItem(suite=suite, item=item) for suite, item in items)  # type: ignore[arg-type]
    return BenchmarkStarted(job=job, run=run, quick=False, plan=plan, results=results)
