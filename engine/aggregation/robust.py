"""Rules that survive a few bad updates without evaluating anything.

They bound what an outlier can do, and cannot tell a useful update from a harmful one: a hospital unlike the others is an outlier
too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median as middle

import torch

from engine.aggregation.weighting import Situation, Weights, normalized
from engine.model.adapters import Adapter

WEISZFELD_STEPS = 8
SMOOTHING = 1e-6
"""Smallest distance in a Weiszfeld step, in medians."""
TRIM = 0.2
"""Share of values that a trimmed mean leaves out at either end; at least one where three or more hospitals answer."""


def krum(situation: Situation) -> Weights:
    """All weight to the update with the smallest sum of squared distances to its K − f − 2 nearest (Blanchard et al. 2017).

    f = ⌊(K − 3) / 2⌋ bad updates are allowed for, the most that the rule's proof carries: none at K = 3 or 4.
    """
    inner = situation.similarity.inner
    count = len(situation.names)
    squared = inner.diagonal()[:, None] + inner.diagonal()[None, :] - 2 * inner  # (K, K)
    near = max(1, count - max(0, (count - 3) // 2) - 2)
    scores = squared.sort(dim=1).values[:, 1 : near + 1].sum(dim=1)
    best = int(scores.argmin())
    return {name: float(k == best) for k, name in enumerate(situation.names)}


def geometric_median(situation: Situation) -> Weights:
    """Weights of the point Σ w_k Δ_k with the least total distance to all Δ_k (RFA, Pillutla et al. 2022).

    Weiszfeld's iteration w_k ∝ n_k / ‖Δ_k − Σ w_j Δ_j‖ on the K × K inner products; no tensor of an adapter's size is made.
    """
    compare = situation.similarity
    pairs = torch.tensor([float(update.pairs) for update in situation.updates], dtype=torch.float64)
    weights = pairs / pairs.sum()
    floor = SMOOTHING * middle(compare.norms) or SMOOTHING
    for _ in range(WEISZFELD_STEPS):
        weights = pairs / compare.distances(weights).clamp(min=floor)
        weights = weights / weights.sum()
    return normalized({name: float(weights[k]) for k, name in enumerate(situation.names)})


def clipped(situation: Situation, weights: Weights, medians: float) -> Weights:
    """Weights after every update longer than `medians` median lengths is shortened to that.

    What the shortened updates lose goes to the round's start adapter, so the weights then add up to less than before.
    """
    lengths = situation.outline.lengths
    return {
        name: weights[name] * (min(1.0, medians / length) if length else 1.0)
        for name, length in zip(situation.names, lengths, strict=True)
    }


@dataclass(frozen=True)
class Coordinates:
    """An adapter chosen number by number, and for each hospital the share of numbers that were its own."""

    adapter: Adapter
    weights: Weights


def median(situation: Situation) -> Coordinates:
    """Each number is the median over hospitals (Yin et al. 2018). Acts on A and B, which share the start's basis."""
    count = len(situation.names)
    return _ordered(situation, keep=range((count - 1) // 2, count // 2 + 1))


def trimmed_mean(situation: Situation) -> Coordinates:
    """Each number is the mean without the `TRIM` largest and smallest values (Yin et al. 2018). Acts on A and B."""
    count = len(situation.names)
    cut = min(max(round(TRIM * count), 1), (count - 1) // 2)
    return _ordered(situation, keep=range(cut, count - cut))


def _ordered(situation: Situation, keep: Sequence[int]) -> Coordinates:
    """Mean of the values whose rank, number by number, is in `keep`."""
    count = len(situation.names)
    adapter, used, numbers = {}, torch.zeros(count, dtype=torch.float64), 0
    for name in situation.updates[0].adapter:
        stacked = torch.stack([update.adapter[name] for update in situation.updates])  # (K, …)
        values, owners = stacked.sort(dim=0, stable=True)
        chosen = slice(keep[0], keep[-1] + 1)
        adapter[name] = values[chosen].double().mean(dim=0).float()
        used += torch.bincount(owners[chosen].flatten(), minlength=count)
        numbers += values[chosen].numel()
    return Coordinates(adapter, {name: float(used[k]) / numbers for k, name in enumerate(situation.names)})
