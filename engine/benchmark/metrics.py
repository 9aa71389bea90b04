"""Results as a flat list of figures: what the CSV file holds and what two results are compared by. No tensor library here."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.benchmark.results import (
    Aggregation,
    BenchmarkResults,
    Efficiency,
    Inference,
    Interval,
    Knowledge,
    Learning,
    Privacy,
    Safety,
    Speed,
    Spread,
    Suite,
    TestComparison,
)
from engine.plain_text import sheet_cell

Better = Literal["lower", "higher", ""]


@dataclass(frozen=True)
class Metric:
    """One figure."""

    suite: Suite
    name: str
    subject: str
    """Whom or what it is about: a hospital, a weighting, an adapter; `all` for the run."""
    value: float
    unit: str
    better: Better = ""
    """Which way is better; empty where neither is."""
    low: float | None = None
    high: float | None = None
    """Bounds: smallest and largest of repeats, or a 95 % interval."""

    @property
    def key(self) -> str:
        """The same in two results when both mean the same figure."""
        return f"{self.suite}.{self.name}[{self.subject}]"


def metrics(results: BenchmarkResults) -> Iterator[Metric]:
    """Every figure of the results, suite by suite."""
    if results.efficiency:
        yield from _efficiency(results.efficiency)
    if results.learning:
        yield from _learning(results.learning)
    if results.aggregation:
        yield from _aggregation(results.aggregation)
    if results.privacy:
        yield from _privacy(results.privacy)
    if results.inference:
        yield from _inference(results.inference)
    if results.knowledge:
        yield from _knowledge(results.knowledge)
    if results.safety:
        yield from _safety(results.safety)
    if results.speed:
        yield from _speed(results.speed)


def to_csv(results: BenchmarkResults) -> str:
    """One figure a line: suite, metric, subject, value, low, high, unit, better."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["suite", "metric", "subject", "value", "low", "high", "unit", "better"])
    writer.writerows(
        [
            one.suite,
            one.name,
            sheet_cell(one.subject),
            one.value,
            "" if one.low is None else one.low,
            "" if one.high is None else one.high,
            one.unit,
            one.better,
        ]
        for one in metrics(results)
    )
    return text.getvalue()


def _efficiency(section: Efficiency) -> Iterator[Metric]:
    for subject, sizes in (("run", section.run), ("reference", section.reference)):
        yield Metric("efficiency", "parameters", subject, sizes.parameters, "weights")
        yield Metric("efficiency", "trainable", subject, sizes.trainable, "weights")
        yield Metric("efficiency", "trainable_share", subject, sizes.trainable_share, "share")
        yield Metric("efficiency", "loaded_bytes", subject, sizes.loaded_bytes, "B", "lower")
        yield Metric("efficiency", "bytes_16_bit", subject, sizes.bytes_16_bit, "B")
        yield Metric("efficiency", "adapter_bytes", subject, sizes.adapter_bytes, "B", "lower")
        yield Metric("efficiency", "reduction_against_loaded", subject, sizes.reduction(sizes.loaded_bytes), "share", "higher")
        yield Metric("efficiency", "reduction_against_16_bit", subject, sizes.reduction(sizes.bytes_16_bit), "share", "higher")
        if sizes.stored_bytes is not None:
            yield Metric("efficiency", "stored_bytes", subject, sizes.stored_bytes, "B")
    claimed = section.reference.reduction(section.claimed_base_bytes)
    yield Metric("efficiency", "reduction_against_claimed_7_GB", "reference", claimed, "share", "higher")


def _learning(section: Learning) -> Iterator[Metric]:
    for at in section.validation:
        name = f"validation_loss_round_{at.round}"
        for hospital, loss in at.losses.items():
            yield Metric("learning", name, hospital, loss, "nats/token", "lower")
        yield Metric("learning", name, "all", at.macro, "nats/token", "lower")
    if section.test is not None:
        yield from _test(section.test)


def _test(test: TestComparison) -> Iterator[Metric]:
    for arm in test.arms:
        for hospital, loss in arm.losses.items():
            yield Metric("learning", f"test_loss_{arm.arm}", hospital, loss, "nats/token", "lower")
        yield Metric("learning", f"test_loss_{arm.arm}", "all", arm.macro, "nats/token", "lower")
    if test.recovered is not None:
        yield Metric("learning", "recovered_share_of_centralised_gain", "all", test.recovered, "share", "higher")


def _aggregation(section: Aggregation) -> Iterator[Metric]:
    for at in section.rounds:
        for hospital, weight in at.weights.items():
            yield Metric("aggregation", f"weight_round_{at.round}", hospital, weight, "share")
    for one in section.same_updates:
        yield Metric("aggregation", "same_updates_test_loss", one.weighting, one.macro, "nats/token", "lower")
        yield Metric("aggregation", "same_updates_worst_hospital", one.weighting, one.worst, "nats/token", "lower")
    for run in section.full_runs:
        yield _interval("aggregation", "full_runs_test_loss", run.weighting, run.macro, "nats/token", "lower")
        yield _interval("aggregation", "full_runs_worst_hospital", run.weighting, run.worst, "nats/token", "lower")
        yield _interval("aggregation", "full_runs_gain_over_samples", run.weighting, run.gain, "share", "higher")


def _privacy(section: Privacy) -> Iterator[Metric]:
    for one in section.pairs:
        yield Metric("privacy", "training_pairs", one.hospital, one.train, "pairs")
    if section.raw_values_sent is not None:
        yield Metric("privacy", "raw_values_sent", "all", section.raw_values_sent, "values", "lower")
        yield Metric("privacy", "adapter_bytes_up_per_round", "all", section.bytes_per_round("up"), "B", "lower")
        yield Metric("privacy", "adapter_bytes_down_per_round", "all", section.bytes_per_round("down"), "B", "lower")
    if section.overlap is not None:
        for kind, count in (("exact", sum(o.exact for o in section.overlap)), ("near", sum(o.near for o in section.overlap))):
            yield Metric("privacy", f"{kind}_duplicates", "all", count, "pairs", "lower")
    for leak in section.leaks or ():
        yield Metric("privacy", "held_out_pairs_seen_in_training", leak.hospital, leak.own + leak.others, "pairs", "lower")


def _inference(section: Inference) -> Iterator[Metric]:
    cold: tuple[tuple[str, float | None, str, Better], ...] = (
        ("cold_query", section.cold_seconds, "s", "lower"),
        ("cold_first_token", section.cold_first_token_seconds, "s", "lower"),
        ("cold_to_warm_ratio", section.cold_ratio, "times", "higher"),
    )
    for name, value, unit, better in cold:
        if value is not None:
            yield Metric("inference", name, "all", value, unit, better)
    yield _spread("inference", "warm_query", section.warm_seconds, "s", "lower")
    yield _spread("inference", "warm_first_token", section.warm_first_token_seconds, "s", "lower")
    yield _spread("inference", "decoding", section.tokens_per_second, "tokens/s", "higher")
    yield Metric("inference", f"queries_batch_{section.batch}", "all", section.batch_queries_per_second, "queries/s", "higher")
    yield Metric("inference", "queries_one_by_one", "all", section.single_queries_per_second, "queries/s", "higher")
    yield _spread("inference", "adapter_switch", section.switch_seconds, "s", "lower")
    yield Metric("inference", "peak_memory", "all", section.peak_memory_bytes, "B", "lower")


def _knowledge(section: Knowledge) -> Iterator[Metric]:
    for one in section.choices:
        subject = f"{one.task}, {one.adapter}"
        yield Metric("knowledge", "accuracy", subject, one.accuracy, "share", "higher", one.low, one.high)
    for text in section.free_text:
        yield Metric("knowledge", "rouge_l", f"{text.hospital}, {text.adapter}", text.rouge_l, "F1", "higher")


def _safety(section: Safety) -> Iterator[Metric]:
    for one in section.figures:
        better: Better = "higher" if one.dangerous else "lower"
        yield Metric("safety", "noticed", one.name, one.noticed / one.sentences, "share", better)


def _speed(section: Speed) -> Iterator[Metric]:
    yield _spread("speed", "training", section.tokens_per_second, "tokens/s", "higher")
    yield Metric("speed", "run", "all", section.run_seconds, "s", "lower")
    if section.share_of_matrix_rate is not None:
        yield Metric("speed", "share_of_matrix_rate", "all", section.share_of_matrix_rate, "share", "higher")


def _spread(suite: Suite, name: str, spread: Spread, unit: str, better: Better) -> Metric:
    return Metric(suite, name, "all", spread.median, unit, better, spread.low, spread.high)


def _interval(suite: Suite, name: str, subject: str, interval: Interval, unit: str, better: Better) -> Metric:
    return Metric(suite, name, subject, interval.mean, unit, better, interval.low, interval.high)
