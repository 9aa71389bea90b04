"""Sums of products B·A in factored form: added up, measured and brought back to a rank without a d × d matrix.

A layer's sum is kept as stacked factors, `B` (out, R) and `A` (R, in): their product is the sum. QR of both factors moves all
questions about it (norm, singular values, distance) into an R × R matrix. Arithmetic is in float64; Q is never written out. One
thread does it: the matrices are narrow, and on a busy machine threads that wait for each other take twenty times as long.

Scales: within a run every adapter has the same alpha / rank, whatever its rank, so the common factor is left out everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.model.adapters import Adapter
from engine.model.decoding import one_thread

CAPACITY, KEPT = 128, 32
"""Directions of a layer before it is compressed, and after. Up to 16 adapters of rank 8 are added without any loss."""
TOGETHER = 64
"""Adapters whose factors of a layer are compared at once, in float64."""
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


class _Orthogonal:
    """QR of a tall or wide matrix (m, n), Q as LAPACK's reflectors: applying it to a few columns is cheaper than making it."""

    def __init__(self, matrix: Tensor) -> None:
        self._reflectors, self._tau = torch.geqrf(matrix)
        self._rows = matrix.shape[0]
        self.r = self._reflectors[: min(matrix.shape)].triu()  # (min(m, n), n)

    def times(self, columns: Tensor) -> Tensor:
        """Q times (min(m, n), k): shape (m, k)."""
        padded = torch.nn.functional.pad(columns, (0, 0, 0, self._rows - columns.shape[0]))
        return torch.ormqr(self._reflectors[:, : len(self._tau)], self._tau, padded)


@dataclass
class _Stack:
    """One layer's sum, as blocks of factors with a coefficient each."""

    blocks: list[tuple[float, Tensor, Tensor]] = field(default_factory=list)

    @property
    def directions(self) -> int:
        return sum(a.shape[0] for _, _, a in self.blocks)

    def factors(self) -> tuple[Tensor, Tensor]:
        """B (out, R) and A (R, in), float64."""
        b = torch.cat([b.double() * coefficient for coefficient, b, _ in self.blocks], dim=1)
        return b, torch.cat([a.double() for _, _, a in self.blocks])

    def core(self) -> Tensor:
        """The R × R matrix with the sum's singular values."""
        b, a = self.factors()
        return _Orthogonal(b).r @ _Orthogonal(a.T).r.T

    def truncated(self, rank: int) -> tuple[Tensor, Tensor, Tensor]:
        """B (out, rank) and A (rank, in) of the closest product (Eckart and Young 1936), and all singular values.

        Rows of A are `ROW_NORM` long. Where directions are missing they are drawn, at right angles to the others, and B is zero
        there: they can be learned. Only directions beyond the layer's own width are zero in both factors.
        """
        b, a = self.factors()
        unused = min(rank, a.shape[1]) - len(a)
        if unused > 0:
            a = torch.cat((a, torch.randn(unused, a.shape[1], generator=torch.Generator().manual_seed(0), dtype=a.dtype)))
            b = torch.nn.functional.pad(b, (0, unused))
        left, right = _Orthogonal(b), _Orthogonal(a.T)
        u, values, vh = torch.linalg.svd(left.r @ right.r.T, full_matrices=False)
        new_b = left.times(u[:, :rank] * (values[:rank] / ROW_NORM))
        new_a = right.times(vh[:rank].T * ROW_NORM).T
        missing = rank - new_a.shape[0]
        if missing > 0:
            new_b = torch.nn.functional.pad(new_b, (0, missing))
            new_a = torch.nn.functional.pad(new_a, (0, 0, 0, missing))
        return new_b, new_a, values


@dataclass
class ProductSum:
    """Σ c_k B_k A_k over adapters of any rank. Memory is bounded by `capacity`, not by how many are added.

    Up to the capacity adapters are only referred to. Beyond it the smallest directions are dropped; `lost` bounds what that does
    (triangle inequality).
    """

    capacity: int = CAPACITY
    kept: int = KEPT
    lost: float = 0.0
    _stacks: dict[tuple[str, str], _Stack] = field(default_factory=dict)

    @one_thread()
    def add(self, adapter: Adapter, coefficient: float) -> None:
        """Add one adapter's product times a coefficient of any sign."""
        if coefficient == 0:
            return
        dropped = 0.0
        for names in layers(adapter):
            a, b = adapter[names[0]], adapter[names[1]]
            stack = self._stacks.setdefault(names, _Stack())
            if stack.blocks and stack.directions + len(a) > self.capacity:
                new_b, new_a, values = stack.truncated(self.kept)
                stack.blocks = [(1.0, new_b, new_a)]
                dropped += float(values[self.kept :].square().sum())
            stack.blocks.append((coefficient, b, a))
        self.lost += math.sqrt(dropped)

    @one_thread()
    def rank(self) -> int:
        """Directions that matter, in the layer that has most of them."""
        values = [torch.linalg.svdvals(stack.core()) for stack in self._stacks.values()]
        return max((int((one > NEGLIGIBLE * one[0]).sum()) for one in values), default=0)

    @one_thread()
    def project(self, rank: int) -> tuple[Adapter, float]:
        """The adapter of rank `rank` with the closest product, columns sorted by singular value; and its relative error.

        The error is a bound where `lost` is above 0. It leaves the rounding of the result to fp32 (1e-7) out.
        """
        adapter, size, missed = {}, 0.0, 0.0
        for (a_name, b_name), stack in self._stacks.items():
            b, a, values = stack.truncated(rank)
            adapter[a_name], adapter[b_name] = a.float().contiguous(), b.float().contiguous()
            size += float(values.square().sum())
            missed += float(values[rank:].square().sum())
        return {name: adapter[name] for name in sorted(adapter)}, self._relative(missed, size)

    @one_thread()
    def error_of(self, adapter: Adapter) -> float:
        """Relative distance ‖product(adapter) − sum‖ / ‖sum‖, a bound where `lost` is above 0; 0 for an empty sum."""
        size, missed = 0.0, 0.0
        for a_name, b_name in layers(adapter):
            stack = self._stacks.get((a_name, b_name), _Stack())
            difference = _Stack([*stack.blocks, (-1.0, adapter[b_name], adapter[a_name])])
            missed += float(difference.core().square().sum())
            size += float(stack.core().square().sum()) if stack.blocks else 0.0
        return self._relative(missed, size)

    def _relative(self, missed: float, size: float) -> float:
        return (math.sqrt(missed) + self.lost) / math.sqrt(size) if size else 0.0


@one_thread()
def gram(adapters: Sequence[Adapter]) -> Tensor:
    """Inner products ⟨B_i A_i, B_j A_j⟩ over all layers, shape (n, n): tr(A_j A_iᵀ B_iᵀ B_j), from rank-sized matrices.

    Time grows with n². At no time more than one layer of 2 · `TOGETHER` adapters is held.
    """
    total = torch.zeros(len(adapters), len(adapters), dtype=torch.float64)
    blocks = [range(len(adapters))[first : first + TOGETHER] for first in range(0, len(adapters), TOGETHER)]
    for names in layers(adapters[0]):
        for place, rows in enumerate(blocks):
            one = _side_by_side([adapters[at] for at in rows], *names)
            for columns in blocks[place:]:
                other = one if columns is rows else _side_by_side([adapters[at] for at in columns], *names)
                part = total[rows.start : rows.stop, columns.start : columns.stop]
                one.add_inner(other, part)
                if columns is not rows:
                    total[columns.start : columns.stop, rows.start : rows.stop] = part.T
    return total


@dataclass(frozen=True)
class _Block:
    """One layer of n adapters, R directions together, float64."""

    a: Tensor
    """(R, in)"""
    b: Tensor
    """(out, R)"""
    owner: Tensor
    """(R,) which of the n adapters a direction is of."""

    def add_inner(self, other: _Block, total: Tensor) -> None:
        """Add the inner products of these products with the other's to `total` (n, m)."""
        by_column = (self.a @ other.a.T) * (self.b.T @ other.b)  # (R, R')
        by_row = torch.zeros(len(total), by_column.shape[1], dtype=torch.float64).index_add_(0, self.owner, by_column)
        total.index_add_(1, other.owner, by_row)


def _side_by_side(adapters: Sequence[Adapter], a_name: str, b_name: str) -> _Block:
    a = [adapter[a_name].double() for adapter in adapters]
    owner = torch.arange(len(a)).repeat_interleave(torch.tensor([len(one) for one in a]))
    return _Block(torch.cat(a), torch.cat([adapter[b_name].double() for adapter in adapters], dim=1), owner)
