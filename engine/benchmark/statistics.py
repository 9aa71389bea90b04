"""Intervals, so that no figure stands without its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.stats import t

from engine.benchmark.results import Interval

CONFIDENCE = 0.95
Z = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""


def interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % t interval of at least one value; without bounds where there is only one."""
    mean, count = fmean(values), len(values)
    if count < 2:
        return Interval(mean=mean, low=None, high=None, values=tuple(values))
    half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * stdev(values) / math.sqrt(count)
    return Interval(mean=mean, low=mean - half, high=mean + half, values=tuple(values))


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927), sensible near 0 and 1 too."""
    share, square = successes / trials, Z * Z
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    half = Z / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)
