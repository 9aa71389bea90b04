"""The fitted curve: exact where the loss is quadratic, the same bits every time."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.aggregation.surrogate import Point, fit


def quadratic(v: Tensor) -> Tensor:
    h = torch.tensor([[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 1.5]], dtype=torch.float64)
    return 0.3 + v @ torch.tensor([0.1, -0.2, 0.4], dtype=torch.float64) + v @ h @ v / 2


def point(*at: float, slopes: bool = False) -> Point:
    v = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    value = quadratic(v)
    value.backward()  # type: ignore[no-untyped-call]
    assert v.grad is not None
    return Point(at, float(value), v.grad.tolist() if slopes else ())


def measured() -> list[Point]:
    """What a round measures: no step, each update alone, the sample weights."""
    return [point(0, 0, 0, slopes=True), point(1, 0, 0), point(0, 1, 0), point(0, 0, 1), point(0.6, 0.3, 0.1, slopes=True)]


def test_three_hospitals_curves_are_found_from_what_a_round_measures() -> None:
    curve = fit(measured())

    unseen = torch.rand(50, 3, dtype=torch.float64) * 1.5
    expected = torch.stack([quadratic(v) for v in unseen])
    assert torch.allclose(curve(unseen), expected, atol=1e-3)


def test_the_same_measurements_give_the_same_bits() -> None:
    curves = [fit(measured()).coefficients for _ in range(50)]

    assert all(torch.equal(curve, curves[0]) for curve in curves)
