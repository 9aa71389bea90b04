"""What a screen asks for and hears while a run is measured.

A benchmark is one job. Its events, in order: `BenchmarkStarted` with everything that is planned and what the run's record
already tells; `BenchmarkProgress` as it goes; `SuiteMeasured` after each suite with all results so far; `BenchmarkFinished` once
the folder is written. A cancelled benchmark ends with `JobFinished` alone and writes nothing. This module imports no tensor
library.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from engine.benchmark.results import BenchmarkResults, Suite, Traffic
from engine.messages import Command, Event, Figure, Round


class RunBenchmark(Command, frozen=True, kw_only=True):
    """Measure a run and write `benchmark_results/<run>-<time>/`."""

    job: str
    run: str
    """A run that has finished a round."""
    quick: bool = False
    """From the run's records alone, without loading a model: seconds."""
    suites: tuple[Suite, ...] = ()
    """Which ones, in the order of `SUITES`; empty is all."""
    seeds: Annotated[int, Meta(ge=1, le=100)] = 3
    """Complete runs per weighting in the aggregation suite."""
    weightings: tuple[str, ...] = ("samples", "equal", "agent")
    """Compared on complete runs; the run's own is added. On the same updates all weightings are compared."""
    test_pairs: Annotated[int, Meta(ge=0)] = 64
    """Test pairs per hospital, evenly spread; 0 is all."""
    items: Annotated[int, Meta(ge=0)] = 100
    """Multiple-choice questions per data set, evenly spread; 0 is all."""
    answers: Annotated[int, Meta(ge=0)] = 12
    """Free answers per hospital and adapter that are scored by ROUGE-L."""
    public_data: str = ""
    """Folder with the public evaluation sets (`pubmedqa_labeled.jsonl.gz` …); empty looks where they usually are."""
    gpu: int | None = None
    """The CUDA card that the engine was shown, for the command that measures the same again; None is whatever is there."""


class PlannedItem(Struct, frozen=True, kw_only=True):
    """One piece of a suite."""

    suite: Suite
    item: str
    """In words: `centralised training`."""


class BenchmarkStarted(Event, frozen=True, kw_only=True):
    """What will be measured, and what the record of the run already tells."""

    job: str
    run: str
    quick: bool
    plan: tuple[PlannedItem, ...]
    results: BenchmarkResults


class BenchmarkProgress(Event, frozen=True, kw_only=True):
    """How far it has come. May be dropped."""

    job: str
    suite: Suite
    item: str
    number: int
    """Of this item in the plan, from 0."""
    fraction: float
    """Of this item, 0 to 1."""
    overall: float
    """Of the whole plan, 0 to 1, by expected work."""
    seconds_left: float | None
    """Estimated from the pace so far; None until there is one."""


class SuiteMeasured(Event, frozen=True, kw_only=True):
    """A suite has run, or could not (`results.skipped`)."""

    job: str
    suite: Suite
    results: BenchmarkResults
    """Everything so far; traffic is that of all hospitals in sum, here and in every other event."""


class BenchmarkFinished(Event, frozen=True, kw_only=True):
    """The results are in `folder`, traffic by hospital: JSON, CSV, Markdown and PNG. Whoever shows a screen adds `screen.svg`."""

    job: str
    folder: str
    results: BenchmarkResults


class TrafficCounted(Event, frozen=True, kw_only=True):
    """What crossed between the hospitals and the coordinator in a round, by the ledger."""

    round: Round
    rows: tuple[Traffic, ...]
    carrying: Figure = 0.0
    """Seconds of the round in which messages were on their way and no hospital worked; 0 in one process."""
