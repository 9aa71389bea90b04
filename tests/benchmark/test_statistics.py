"""Intervals against textbook values."""

from __future__ import annotations

import pytest

from engine.benchmark.statistics import interval, wilson


def test_the_t_interval_of_three_seeds() -> None:
    found = interval([2.0, 2.1, 2.3])  # mean 2.1333, standard deviation 0.1528, t(2; 0.975) = 4.3027

    assert found.mean == pytest.approx(2.1333, abs=1e-4)
    assert (found.low, found.high) == (pytest.approx(1.7539, abs=1e-3), pytest.approx(2.5128, abs=1e-3))


def test_a_single_seed_has_no_bounds() -> None:
    found = interval([2.0])

    assert (found.mean, found.low, found.high) == (2.0, None, None)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (31, 100, 0.2278, 0.4063)],
)
def test_the_wilson_interval(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
