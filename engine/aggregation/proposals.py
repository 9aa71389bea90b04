"""Weight vectors worth considering, from rules that each look at something else."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import torch
from torch import Tensor

from engine.aggregation.weighting import SMALLEST_LOSS, Situation, Weights, equal, inverse_loss, normalized, samples

SCALES = (0.6, 0.8, 1.25, 1.6, 2.0)
"""Step sizes tried beside 1 for every rule."""
DOWN = 0.3
"""Factor on one hospital's weight in a `down` proposal."""
DRAWS = 512
"""Random vectors looked at in the search for the optimum, once over the whole simplex and once around the best."""
CONCENTRATION = 30.0
"""Of the second search's draws around the best vector (Dirichlet)."""
ENOUGH = 0.9
"""Vectors that promise this share of the highest gain are as good as the best: the one nearest to sample weights is taken."""


@dataclass(frozen=True)
class Proposal:
    """A named weight vector and the gain expected of it."""

    kind: Literal["rule", "scaled", "optimum", "mix"]
    name: str
    weights: tuple[float, ...]
    screen: float


Score = Callable[[Tensor], Tensor]
"""Expected gains of vectors (N, K): shape (N,)."""


def by_rules(situation: Situation, transfer: Mapping[str, float], last: Weights) -> dict[str, Weights]:
    """What each rule proposes for these hospitals; `transfer` is an update's mean gain at the others, `last` the old weights."""
    base = samples(situation)
    updates = {update.hospital: update for update in situation.updates}
    cosines = dict(zip(situation.names, situation.outline.cosines, strict=True))
    useful = {name: max(0.0, transfer[name]) for name in situation.names}
    raw = {
        "equal": equal(situation),
        "root of samples": {name: math.sqrt(update.pairs) for name, update in updates.items()},
        "inverse loss": inverse_loss(situation),
        "inverse variance": {name: 1 / max(update.variance, SMALLEST_LOSS) for name, update in updates.items()},
        "consensus": {name: update.pairs * max(0.0, cosines[name]) for name, update in updates.items()},
        "highest loss first": {name: update.pairs * update.loss**2 for name, update in updates.items()},
        "use to others": useful,
        "use to others by samples": {name: useful[name] * base[name] for name in base},
    }
    if last and all(name in last for name in base):
        raw["last weights"] = {name: last[name] for name in base}
    for name in base if len(base) > 2 else ():
        raw[f"without {name}"] = {other: 0.0 if other == name else weight for other, weight in base.items()}
        raw[f"less of {name}"] = {other: weight * (DOWN if other == name else 1) for other, weight in base.items()}
    return {name: normalized(weights) for name, weights in raw.items()}


def screened(names: Sequence[str], rules: Mapping[str, Weights], base: Weights, score: Score, seed: int) -> list[Proposal]:
    """Every rule at step size 1 and at its most promising other one, and the best vector found; most promising first."""
    vectors = {rule: torch.tensor([weights[name] for name in names], dtype=torch.float64) for rule, weights in rules.items()}
    samples_vector = torch.tensor([base[name] for name in names], dtype=torch.float64)
    proposals = [Proposal("rule", rule, *_scored(vector, score)) for rule, vector in vectors.items()]
    for rule, vector in {"samples": samples_vector, **vectors}.items():
        scores = score(torch.stack([vector * scale for scale in SCALES]))
        scale = SCALES[int(scores.argmax())]
        proposals.append(Proposal("scaled", f"{rule} × {scale:g}", *_scored(vector * scale, score)))
    proposals.append(Proposal("optimum", "optimum", *_scored(_optimum(samples_vector, score, seed), score)))
    return sorted(proposals, key=lambda proposal: (-proposal.screen, proposal.name))


def mixed(first: Proposal, second: Proposal) -> Proposal:
    """Half and half: less of either one's luck."""
    weights = tuple(fmean(pair) for pair in zip(first.weights, second.weights, strict=True))
    return Proposal("mix", "mix", weights, fmean((first.screen, second.screen)))


def _scored(vector: Tensor, score: Score) -> tuple[tuple[float, ...], float]:
    return tuple(vector.tolist()), float(score(vector[None])[0])


def _optimum(base: Tensor, score: Score, seed: int) -> Tensor:
    """The vector nearest to `base` among the best draws over the simplex, then among draws around that, at several step sizes."""
    draw = random.Random(seed)
    scales = torch.tensor((1.0, *SCALES), dtype=torch.float64)
    best = base
    for concentration in (0.0, CONCENTRATION):
        shape = (1 + concentration * best / best.sum()).tolist()
        draws = torch.tensor([_dirichlet(shape, draw) for _ in range(DRAWS)], dtype=torch.float64)
        vectors = torch.cat((best[None], (draws[:, None] * scales[None, :, None]).flatten(0, 1)))
        scores = score(vectors)
        distances = (vectors - base).norm(dim=1)
        promising = scores >= scores.max() - (1 - ENOUGH) * scores.max().clamp(min=0)
        best = vectors[int(distances.masked_fill(~promising, math.inf).argmin())]
    return best


def _dirichlet(concentration: Sequence[float], draw: random.Random) -> list[float]:
    gammas = [draw.gammavariate(alpha, 1.0) for alpha in concentration]
    return [gamma / sum(gammas) for gamma in gammas]
