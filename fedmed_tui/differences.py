"""The differences between two results in words, the same on the screen and on the command line."""

from __future__ import annotations

from engine.benchmark.compare import Difference, Verdict
from engine.benchmark.metrics import Metric

MARKS: dict[Verdict, str] = {
    "better": "▲ better",
    "worse": "▼ worse",
    "same": "= same",
    "changed": "· changed",
    "new": "+ new",
    "gone": "− gone",
}


def figure(metric: Metric | None) -> str:
    """`2.614 nats/token`; a dash where one of the results does not have it."""
    return "–" if metric is None else f"{metric.value:,.4g} {metric.unit}"


def change(one: Difference) -> str:
    """`+3.1%`, `−0.4%`, or a dash."""
    share = one.change
    return "–" if share is None else f"{'−' if share < 0 else '+'}{abs(share):.1%}"
