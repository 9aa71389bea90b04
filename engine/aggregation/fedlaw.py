"""Weights and step size learned on held-out pairs (FedLAW, Li et al. 2023).

The new adapter is γ Σ softmax(λ)_k U_k; γ and λ follow the gradient of the mean validation loss, by Adam. Voters never see γ or
λ: they report the slopes of their loss by each weight, and the chain rule is applied here. γ shrinks the step from the round's
start, not the adapter itself, because an adapter is a change already.
"""

from __future__ import annotations

from collections.abc import Generator

import torch

from engine.aggregation.evidence import Bench, passes
from engine.aggregation.weighting import Weights, samples

STEPS = 4
RATE = 0.2
"""Adam's learning rate for λ and log γ: large, since there are only a few steps."""


def learn(bench: Bench) -> Generator[None, None, Weights]:
    """Weights, which may add up to more or less than 1. The budget is used up in `STEPS` equal parts."""
    names = bench.situation.names
    start = samples(bench.situation)
    raw = torch.tensor([start[name] for name in names], dtype=torch.float64).log().requires_grad_()
    log_scale = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([raw, log_scale], lr=RATE)
    pair_work = STEPS * passes(1, slopes=True)
    for _ in range(STEPS):
        weights = log_scale.exp() * raw.softmax(dim=0)
        tokens = {voter: work / pair_work for voter, work in bench.budget.items()}
        verdicts = yield from bench.ask("screen", [weights.tolist()], tokens, pairs=2**31, slopes=True)
        if not verdicts:
            break
        slopes = torch.tensor([verdict.slopes for verdict in verdicts.values()], dtype=torch.float64).mean(dim=0)
        optimizer.zero_grad()
        (weights @ slopes).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    learned = (log_scale.exp() * raw.softmax(dim=0)).tolist()
    return dict(zip(names, learned, strict=True))
