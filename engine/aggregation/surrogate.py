"""A voter's gain as a quadratic function of the weights, fitted to a handful of evaluations.

With K hospitals a screening of dozens of candidates is a look at one smooth function of K numbers. Its values at no step, at each
update alone and at the sample weights, and its slopes at the first and the last of these, cost K + 4 forward passes and fix a
quadratic well enough to rank candidates; how good the best ones really are is then measured on other pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

RIDGE = 1e-3
"""Pull of the curvature to 0, for directions that nothing was measured in."""
NEAR = 3.0
"""How much more an equation at the sample weights counts: candidates lie around them."""


@dataclass(frozen=True)
class Point:
    """What is known at one weight vector: the value and, where it was asked for, the slopes."""

    at: Sequence[float]
    value: float
    slopes: Sequence[float] = ()
    importance: float = 1.0


@dataclass(frozen=True)
class Quadratic:
    """A polynomial of second degree in the weights."""

    coefficients: Tensor
    """Of the monomials 1, v_i, v_i v_j."""

    def __call__(self, vectors: Tensor) -> Tensor:
        """Values at vectors (N, K), shape (N,)."""
        return _monomials(vectors) @ self.coefficients


def fit(points: Sequence[Point]) -> Quadratic:
    """Weighted least squares in float64, with a small ridge on the second-order terms."""
    count = len(points[0].at)
    rows, targets = [], []
    for point in points:
        at = torch.tensor(point.at, dtype=torch.float64)
        rows.append(_monomials(at[None]) * point.importance)
        targets.append(torch.tensor([point.value], dtype=torch.float64) * point.importance)
        if len(point.slopes):
            rows.append(_derivatives(at) * point.importance)
            targets.append(torch.tensor(point.slopes, dtype=torch.float64) * point.importance)
    terms = rows[0].shape[1]
    ridge = torch.eye(terms, dtype=torch.float64)[1 + count :] * RIDGE
    design = torch.cat([*rows, ridge])
    target = torch.cat([*targets, torch.zeros(len(ridge), dtype=torch.float64)])
    q, r = torch.linalg.qr(design)  # torch.linalg.lstsq does not give the same last bits every time
    return Quadratic(torch.linalg.solve_triangular(r, (q.T @ target)[:, None], upper=True)[:, 0])


def _monomials(vectors: Tensor) -> Tensor:
    """1, v_i, and v_i v_j for i ≤ j: (N, K) → (N, 1 + K + K (K + 1) / 2)."""
    first, second = torch.triu_indices(vectors.shape[1], vectors.shape[1])
    return torch.cat((torch.ones(len(vectors), 1, dtype=vectors.dtype), vectors, vectors[:, first] * vectors[:, second]), dim=1)


def _derivatives(at: Tensor) -> Tensor:
    """Derivatives of the monomials by each v_k at one vector (K,): shape (K, terms)."""
    count = len(at)
    first, second = torch.triu_indices(count, count)
    unit = torch.eye(count, dtype=at.dtype)
    products = unit[:, first] * at[second] + unit[:, second] * at[first]
    return torch.cat((torch.zeros(count, 1, dtype=at.dtype), unit, products), dim=1)
