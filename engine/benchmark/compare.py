"""Two results side by side, so that a team can gate on a regression. No tensor library here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.benchmark.metrics import Metric, metrics
from engine.benchmark.results import SUITES, BenchmarkResults, Suite

Verdict = Literal["better", "worse", "same", "changed", "new", "gone"]


@dataclass(frozen=True)
class Difference:
    """One figure of two results. A figure that only one of them has is None in the other."""

    before: Metric | None
    after: Metric | None

    @property
    def metric(self) -> Metric:
        """The newer one, where there is one."""
        metric = self.after or self.before
        assert metric is not None
        return metric

    @property
    def change(self) -> float | None:
        """Relative change: 0.05 is 5 % more. From 0 to anything is infinite."""
        if self.before is None or self.after is None:
            return None
        if self.before.value == self.after.value:
            return 0.0
        difference = self.after.value - self.before.value
        return difference / abs(self.before.value) if self.before.value else float("inf") * (1 if difference > 0 else -1)

    @property
    def verdict(self) -> Verdict:
        """In a word; `changed` for figures of which neither way is better."""
        change = self.change
        if change is None:
            return "new" if self.before is None else "gone"
        if not change:
            return "same"
        if not self.metric.better:
            return "changed"
        return "better" if (change < 0) == (self.metric.better == "lower") else "worse"

    def regressed(self, tolerance: float) -> bool:
        """Worse by more than a share: 0.05 is 5 %."""
        change = self.change
        return self.verdict == "worse" and change is not None and abs(change) > tolerance


def compare(before: BenchmarkResults, after: BenchmarkResults) -> Iterator[Difference]:
    """Every figure of either, in the order of the newer one, then those that are gone."""
    old = {metric.key: metric for metric in metrics(before)}
    for metric in metrics(after):
        yield Difference(old.pop(metric.key, None), metric)
    for metric in old.values():
        yield Difference(metric, None)


def gone_suites(before: BenchmarkResults, after: BenchmarkResults) -> list[Suite]:
    """Suites that the older one measured and the newer one did not: of their figures, nothing says that they are not worse."""
    return [suite for suite in SUITES if getattr(before, suite) is not None and getattr(after, suite) is None]
