"""The server's own step: from the round's start adapter towards the combined one, with memory of earlier rounds.

With Δ = combined − start, number by number over A and B, and x the global adapter (Reddi et al. 2021, algorithm 2; FedAvgM:
Hsu et al. 2019):

    fedavg    x ← x + Δ
    fedavgm   m ← β m + Δ                    x ← x + η m
    fedadam   m ← β₁ m + (1 − β₁) Δ          v ← β₂ v + (1 − β₂) Δ²                        x ← x + η m / (√v + τ)
    fedyogi   m as fedadam                   v ← v − (1 − β₂) Δ² sign(v − Δ²)              x ← x + η m / (√v + τ)

The memory is in the basis of A and B; `engine.settings` refuses combine rules that turn this basis.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.model.adapters import Adapter
from engine.settings import ServerOptimizer

MOMENTUM = 0.9
BETA_1, BETA_2 = 0.9, 0.99
TAU = 1e-3
"""Keeps the adaptive step finite; v starts at τ², as in the paper."""
RATES = {"fedavg": 1.0, "fedavgm": 1.0, "fedadam": 0.01, "fedyogi": 0.01}


def server_step(
    rule: ServerOptimizer, rate: float, start: Adapter, combined: Adapter, memory: dict[str, Adapter]
) -> tuple[Adapter, dict[str, Adapter]]:
    """The next global adapter, and what to remember (`m`, `v`). `memory` is empty in round 1; rate 0 is the rule's own."""
    if rule == "fedavg":
        return combined, {}
    rate = rate or RATES[rule]
    following, first, second = dict[str, Tensor](), dict[str, Tensor](), dict[str, Tensor]()
    for name, before in start.items():
        delta = combined[name] - before
        m = memory["m"][name] if "m" in memory else torch.zeros_like(delta)
        if rule == "fedavgm":
            first[name] = MOMENTUM * m + delta
            following[name] = before + rate * first[name]
            continue
        v = memory["v"][name] if "v" in memory else torch.full_like(delta, TAU**2)
        first[name] = BETA_1 * m + (1 - BETA_1) * delta
        squared = delta.square()
        change = squared - v if rule == "fedadam" else squared * torch.sign(squared - v)
        second[name] = v + (1 - BETA_2) * change
        following[name] = before + rate * first[name] / (second[name].sqrt() + TAU)
    return following, {"m": first, "v": second} if second else {"m": first}
