"""Sums of products B·A in factored form: added up, measured and brought back to a rank without a d × d matrix.

A layer's sum is kept as stacked factors, `B` (out, R) and `A` (R, in): their product is the sum. QR of both factors moves all
questions about it (norm, singular values, distance) into an R × R matrix. All arithmetic is in float64.

Scales: within a run every adapter has the same alpha / rank, whatever its rank, so the common factor is left out everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.model.adapters import Adapter

CAPACITY = 128
"""Columns a layer's stack may have before it is compressed: up to 16 adapters of rank 8 are added without any loss."""
NEGLIGIBLE = 1e-7
"""Singular values below this share of the largest are rounding of fp32 factors."""
ROW_NORM = 1 / math.sqrt(3)
"""Length of a row of a fresh A, uniform in ±1/√in. New A get it too, so that training goes on as it began, and no direction
dies: where a singular value is 0, B's column is 0 and A's row is not."""


def layers(adapter: Adapter) -> Iterator[tuple[str, str]]:
    """Names of A and B of each adapted layer, in a fixed order."""
    for name in sorted(adapter):
        if ".lora_A." in name:
            yield name, name.replace(".lora_A.", ".lora_B.")


def rank_of(adapter: Adapter) -> int:
    """The adapter's rank."""
    return next(int(adapter[a].shape[0]) for a, _ in layers(adapter))


@dataclass
class _Stack:
    """One layer's sum."""

    b: Tensor  # (out, R)
    a: Tensor  # (R, in)

    def append(self, b: Tensor, a: Tensor) -> None:
        self.b, self.a = torch.cat((self.b, b), dim=1), torch.cat((self.a, a), dim=0)

    def core(self) -> tuple[Tensor, Tensor, Tensor]:
        """Orthonormal Q_b (out, m), Q_a (in, n) and core C (m, n) with B·A = Q_b C Q_aᵀ."""
        q_b, r_b = torch.linalg.qr(self.b)
        q_a, r_a = torch.linalg.qr(self.a.T)
        return q_b, q_a, r_b @ r_a.T

    def norm(self) -> float:
        return float(torch.linalg.norm(self.core()[2]))

    def rank(self) -> int:
        values = torch.linalg.svdvals(self.core()[2])
        return int((values > NEGLIGIBLE * values[0]).sum())

    def truncated(self, rank: int) -> tuple[_Stack, float]:
        """The closest product of rank `rank` (Eckart and Young 1936), rows of A `ROW_NORM` long, and its distance."""
        q_b, q_a, core = self.core()
        u, values, vh = torch.linalg.svd(core, full_matrices=False)
        b = (q_b @ u[:, :rank]) * (values[:rank] / ROW_NORM)
        a = (vh[:rank] @ q_a.T) * ROW_NORM
        return _Stack(b, a).padded(rank), float(torch.linalg.norm(values[rank:]))

    def padded(self, rank: int) -> _Stack:
        """With zero columns up to `rank`: a layer may be too small to have so many directions."""
        missing = rank - self.b.shape[1]
        if missing <= 0:
            return self
        return _Stack(torch.nn.functional.pad(self.b, (0, missing)), torch.nn.functional.pad(self.a, (0, 0, 0, missing)))


@dataclass
class ProductSum:
    """Σ c_k B_k A_k over adapters of any rank. Memory is bounded by `capacity`, not by how many are added.

    Beyond the capacity the smallest directions are dropped; `lost` bounds their effect on the sum (triangle inequality).
    """

    capacity: int = CAPACITY
    lost: float = 0.0
    _stacks: dict[tuple[str, str], _Stack] = field(default_factory=dict)

    def add(self, adapter: Adapter, coefficient: float) -> None:
        """Add one adapter's product times a coefficient of any sign."""
        if coefficient == 0:
            return
        dropped = 0.0
        for a_name, b_name in layers(adapter):
            b, a = adapter[b_name].double() * coefficient, adapter[a_name].double()
            stack = self._stacks.get((a_name, b_name))
            if stack is None:
                self._stacks[a_name, b_name] = _Stack(b, a)
                continue
            stack.append(b, a)
            if stack.b.shape[1] > self.capacity:
                self._stacks[a_name, b_name], distance = stack.truncated(self.capacity // 2)
                dropped += distance**2
        self.lost += math.sqrt(dropped)

    def norm(self) -> float:
        """Frobenius norm over all layers."""
        return math.sqrt(sum(stack.norm() ** 2 for stack in self._stacks.values()))

    def rank(self) -> int:
        """Directions that matter, in the layer that has most of them."""
        return max((stack.rank() for stack in self._stacks.values()), default=0)

    def project(self, rank: int) -> Adapter:
        """The adapter of rank `rank` whose product is closest to the sum. Columns are sorted by singular value."""
        adapter = {}
        for (a_name, b_name), stack in self._stacks.items():
            best, _ = stack.truncated(rank)
            adapter[a_name], adapter[b_name] = best.a.float(), best.b.float()
        return {name: adapter[name].contiguous() for name in sorted(adapter)}

    def error_of(self, adapter: Adapter) -> float:
        """Relative distance ‖product(adapter) − sum‖ / ‖sum‖, at most so much where `lost` is above 0; 0 for an empty sum."""
        squared = 0.0
        for a_name, b_name in layers(adapter):
            stack = self._stacks.get((a_name, b_name))
            difference = _Stack(-adapter[b_name].double(), adapter[a_name].double())
            if stack is not None:
                difference.append(stack.b, stack.a)
            squared += difference.norm() ** 2
        size = self.norm()
        return (math.sqrt(squared) + self.lost) / size if size else 0.0


def gram(adapters: list[Adapter]) -> Tensor:
    """Inner products ⟨B_i A_i, B_j A_j⟩ over all layers, shape (n, n): tr(A_j A_iᵀ B_iᵀ B_j), from rank-sized matrices."""
    ranks = [rank_of(adapter) for adapter in adapters]
    owner = torch.arange(len(adapters)).repeat_interleave(torch.tensor(ranks))  # (R,)
    total = torch.zeros(len(adapters), len(adapters), dtype=torch.float64)
    for a_name, b_name in layers(adapters[0]):
        a = torch.cat([adapter[a_name].double() for adapter in adapters])  # (R, in)
        b = torch.cat([adapter[b_name].double() for adapter in adapters], dim=1)  # (out, R)
        by_column = (a @ a.T) * (b.T @ b)  # (R, R)
        by_row = torch.zeros(len(adapters), by_column.shape[1], dtype=torch.float64).index_add_(0, owner, by_column)
        total.index_add_(1, owner, by_row)
    return total
