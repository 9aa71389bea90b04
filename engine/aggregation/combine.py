"""How weighted adapters become one adapter.

With weights w_1 … w_K and the round's start adapter P_0 = B_0 A_0, the exact result is

    T = (1 − Σ w_k) B_0 A_0 + Σ w_k B_k A_k

so that weights which add up to more or less than 1 lengthen or shorten the step from the start. Every rule sees the same sum and
differs in what it keeps of it. Updates are folded in one at a time, in the order they are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.aggregation.products import ProductSum
from engine.model.adapters import Adapter
from engine.settings import CombineRule


@dataclass(frozen=True)
class Combined:
    """The new adapter, and how far its product is from the exact weighted product T: ‖BA − T‖ / ‖T‖."""

    adapter: Adapter
    error: float


@dataclass(frozen=True)
class Ranks:
    """The rank of the global adapter, and the most it may reach under `stacked`."""

    adapter: int
    stacked: int = 0


class FactorSum:
    """Σ w_k A_k and Σ w_k B_k, tensor by tensor, in float64. Memory does not depend on K."""

    def __init__(self) -> None:
        self._total: dict[str, Tensor] = {}

    def add(self, adapter: Adapter, weight: float) -> None:
        """Add one adapter."""
        for name, tensor in adapter.items():
            if name not in self._total:
                self._total[name] = torch.zeros_like(tensor, dtype=torch.float64)
            self._total[name].add_(tensor, alpha=weight)

    def result(self) -> Adapter:
        """The sums in fp32."""
        return {name: total.float() for name, total in self._total.items()}


def combine(rule: CombineRule, start: Adapter, updates: Sequence[Adapter], weights: Sequence[float], ranks: Ranks) -> Combined:
    """Combine updates, in the order given, under a rule.

    * `exact`: T brought back to the rank by an SVD (FlexLoRA, Bai et al. 2024), through QR of the stacked factors.
    * `stacked`: T kept exactly as long as its rank fits `ranks.stacked` (FLoRA, Wang et al. 2024).
    * `factors`: A and B summed separately (FedIT, Zhang et al. 2023); T is missed in second order.
    * `frozen_a` (FFA-LoRA, Sun et al. 2024) and `alternate` (RoLoRA, Chen et al. 2025): the same sums, exact because hospitals
      trained only one factor, so that the other is the same everywhere.
    """
    exact, factors = ProductSum(), FactorSum()
    by_factors = rule not in ("exact", "stacked")
    for adapter, weight in ((start, 1 - sum(weights)), *zip(updates, weights, strict=True)):
        exact.add(adapter, weight)
        if by_factors:
            factors.add(adapter, weight)
    if by_factors:
        adapter = factors.result()
        return Combined(adapter, exact.error_of(adapter))
    rank = ranks.adapter if rule == "exact" else min(max(exact.rank(), ranks.adapter), ranks.stacked)
    return Combined(*exact.project(rank))


def trained_factors(rule: CombineRule, round_number: int) -> tuple[str, ...]:
    """Which factors hospitals train in a round, and therefore send."""
    if rule == "frozen_a":
        return ("B",)
    if rule == "alternate":
        return ("B",) if round_number % 2 else ("A",)
    return ("A", "B")
