"""A benchmark as a job: suite after suite, each section stated as it is measured, everything written at the end."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from engine.benchmark import crossed, efficiency, guarded, inference, knowledge, learning, recorded, speed, weightings
from engine.benchmark.environment import environment
from engine.benchmark.results import QUICK, SUITES, BenchmarkResults, Suite
from engine.benchmark.saved import command_line, completed, with_earlier
from engine.benchmark.suite import Item, Subject, Tick, open_subject
from engine.benchmark.write import write
from engine.benchmark_messages import (
    BenchmarkFinished,
    BenchmarkProgress,
    BenchmarkStarted,
    PlannedItem,
    RunBenchmark,
    SuiteMeasured,
)
from engine.errors import FedMedError, RunError
from engine.jobs.context import Engine
from engine.jobs.model import ensure_bank, model_held
from engine.protocol import Progress
from engine.scheduler import Job

MODULES: dict[Suite, Any] = {
    "efficiency": efficiency,
    "learning": learning,
    "aggregation": weightings,
    "privacy": crossed,
    "inference": inference,
    "knowledge": knowledge,
    "safety": guarded,
    "speed": speed,
}
ENOUGH = 0.02
"""Share of the work after which the rest can be estimated."""


def benchmark(engine: Engine, command: RunBenchmark) -> Job:
    """Measure a run. A suite that cannot run is noted in `skipped`; the others go on.

    Raises:
        RunError: no such run, it has no finished round, its base model is another one now or is held in another precision, or
            the results cannot be written.
        SettingsError: a weighting that there is not.
        ModelError: the run's base model cannot be loaded.
    """
    started = time.monotonic()
    subject = open_subject(engine, command)
    suites = [suite for suite in (QUICK if command.quick else SUITES) if not command.suites or suite in command.suites]
    results = _blank(subject)
    if command.quick:  # it needs no model, and may go on beside a run
        results = yield from _measure(subject, suites, results)
    else:
        with model_held(engine, command.run):
            yield from ensure_bank(engine, command.job, subject.config.model, subject.config.lora, command.run)
            _check_same(subject)
            results = yield from _measure(subject, suites, results)
    results = replace(results, environment=environment(), seconds=time.monotonic() - started)
    yield Progress(job=command.job, what="drawing the figure", done=0, total=0)
    yield BenchmarkFinished(job=command.job, folder=str(write(results)), results=_stated(results))


def _check_same(subject: Subject) -> None:
    """Refuse another base model or precision than the run's: the report names those, and its figures are of them."""
    then, now = subject.record.model, subject.engine.loaded
    assert then is not None and now is not None
    for what, was, is_now in (
        ("base model", then.digest, now.digest),
        ("quantization", then.quantization, now.quantization),
    ):
        if was != is_now:
            hint = "Measure it where it was trained, or with --quick, which needs no model."
            raise RunError(f"it was trained with {what} {was}, now it is {is_now}.", where=subject.request.run, hint=hint)


def _measure(subject: Subject, suites: list[Suite], results: BenchmarkResults) -> Generator[Any, None, BenchmarkResults]:
    """All suites, each section stated as it is measured."""
    command = subject.request
    plan = _Plan([(suite, item) for suite in suites for item in MODULES[suite].items(subject)])
    yield BenchmarkStarted(
        job=command.job,
        run=command.run,
        quick=command.quick,
        plan=tuple(PlannedItem(suite=suite, item=item.name) for suite, item in plan.entries),
        results=_stated(results),
    )
    for suite in suites:
        results = yield from _suite(subject, suite, plan, results)
        yield SuiteMeasured(job=command.job, suite=suite, results=_stated(results))
    return results


def _stated(results: BenchmarkResults) -> BenchmarkResults:
    """Results as events carry them: traffic in sum, as a long run's row by row is longer than a line may be."""
    return replace(results, privacy=recorded.in_sum(results.privacy)) if results.privacy is not None else results


@dataclass
class _Plan:
    """Everything that will be measured, in order, and how far that is."""

    entries: list[tuple[Suite, Item]]
    started: float = field(default_factory=time.monotonic)

    def progress(self, job: str, suite: Suite, tick: Tick) -> BenchmarkProgress:
        """A suite's tick, placed in the whole."""
        number = next(at for at, (of, item) in enumerate(self.entries) if of == suite and item.name == tick.item)
        works = [item.work for _, item in self.entries]
        overall = (sum(works[:number]) + tick.fraction * works[number]) / (sum(works) or 1.0)
        elapsed = time.monotonic() - self.started
        return BenchmarkProgress(
            job=job,
            suite=suite,
            item=tick.item,
            number=number,
            fraction=tick.fraction,
            overall=overall,
            seconds_left=elapsed * (1 - overall) / overall if overall > ENOUGH else None,
        )


def _suite(subject: Subject, suite: Suite, plan: _Plan, results: BenchmarkResults) -> Generator[Any, None, BenchmarkResults]:
    """The results with one section more, or with the reason why there is none."""
    job = subject.request.job
    work = MODULES[suite].measure(subject)
    while True:
        try:
            tick = next(work)
        except StopIteration as end:
            section = completed(getattr(results, suite), end.value)
            return replace(results, **{suite: section}, measured=results.measured | {suite: time.time()})
        except FedMedError as error:
            return replace(results, skipped=results.skipped | {suite: str(error)})
        yield plan.progress(job, suite, tick) if tick is not None else None


def _blank(subject: Subject) -> BenchmarkResults:
    """Results without sections; a quick benchmark starts from the run's last full one, where there is one."""
    model = subject.record.model
    assert model is not None
    blank = BenchmarkResults(
        run=subject.request.run,
        created=time.time(),
        quick=subject.request.quick,
        command=command_line(subject.request),
        config=subject.config,
        rounds=subject.record.completed,
        model=model.name,
        model_digest=model.digest,
        quantization=model.quantization,
        environment=environment(),
    )
    return with_earlier(blank) if blank.quick else blank
