"""How much each hospital's update counts. Pure functions from what hospitals reported to weights that sum to 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.federated.update import Update
from engine.protocol import HospitalWeight

Weights = dict[str, float]


def samples(updates: Sequence[Update]) -> Weights:
    """w_k = n_k / n, n_k training pairs (FedAvg, McMahan et al. 2017)."""
    total = sum(update.pairs for update in updates)
    return {update.hospital: update.pairs / total for update in updates}


def equal(updates: Sequence[Update]) -> Weights:
    """w_k = 1 / K."""
    return {update.hospital: 1 / len(updates) for update in updates}


WEIGHTINGS: dict[str, Callable[[Sequence[Update]], Weights]] = {"samples": samples, "equal": equal}
REASONS = {
    "samples": "Each hospital counts by its share of the training pairs.",
    "equal": "Every hospital counts the same.",
}


def describe(updates: Sequence[Update], weights: Weights) -> tuple[HospitalWeight, ...]:
    """The weights beside what sample shares would have been."""
    shares = samples(updates)
    return tuple(
        HospitalWeight(
            hospital=update.hospital, pairs=update.pairs, sample_share=shares[update.hospital], weight=weights[update.hospital]
        )
        for update in updates
    )
