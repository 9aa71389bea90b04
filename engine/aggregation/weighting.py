"""How much each hospital's update counts, by rules that need no evaluation.

Pure functions from what hospitals reported, and from how their updates compare, to weights that add up to 1. K hospitals, n_k
training pairs, L_k mean and var_k variance of the training loss over the round's steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.aggregation.products import TOGETHER
from engine.aggregation.similarity import Outline, Similarity, similarity, sketched
from engine.federated.update import Update
from engine.model.adapters import Adapter

Weights = dict[str, float]
SMALLEST_LOSS = 1e-3
"""Losses below this are counted as this, so that nobody gets all the weight by reporting 0."""


@dataclass(frozen=True)
class Situation:
    """What a weighting may look at: the usable updates of a round, sorted by hospital, and where they started."""

    round: int
    start: Adapter
    updates: Sequence[Update]

    @property
    def names(self) -> list[str]:
        """Hospitals, in order."""
        return [update.hospital for update in self.updates]

    @cached_property
    def similarity(self) -> Similarity:
        """The updates compared each with each: time grows with the square of their number."""
        return similarity(self.start, [update.adapter for update in self.updates])

    @cached_property
    def outline(self) -> Outline:
        """Lengths and angles of the updates: exact for fewer than `TOGETHER`; of more, angles are estimated."""
        if len(self.updates) < TOGETHER:
            return self.similarity.outline
        return sketched(self.start, [update.adapter for update in self.updates])

    def only(self, hospitals: Sequence[str]) -> Situation:
        """The same without the other hospitals; itself, with what was compared already, where there are none."""
        if all(name in hospitals for name in self.names):
            return self
        return Situation(self.round, self.start, [update for update in self.updates if update.hospital in hospitals])


def samples(situation: Situation) -> Weights:
    """w_k = n_k / n (FedAvg, McMahan et al. 2017)."""
    return normalized({update.hospital: float(update.pairs) for update in situation.updates})


def equal(situation: Situation) -> Weights:
    """w_k = 1 / K."""
    return normalized(dict.fromkeys(situation.names, 1.0))


def inverse_loss(situation: Situation) -> Weights:
    """w_k ∝ 1 / L_k."""
    return normalized({update.hospital: 1 / max(update.loss, SMALLEST_LOSS) for update in situation.updates})


def loss_variance(situation: Situation) -> Weights:
    """w_k ∝ n_k / (L_k (1 + var_k)): the rule by loss and variance that the agent is measured against."""
    return normalized(
        {
            update.hospital: update.pairs / (max(update.loss, SMALLEST_LOSS) * (1 + update.variance))
            for update in situation.updates
        }
    )


def normalized(raw: Weights) -> Weights:
    """Scaled to add up to 1; equal weights where all are 0."""
    total = sum(raw.values())
    return {name: value / total if total else 1 / len(raw) for name, value in raw.items()}


RULES: dict[str, Callable[[Situation], Weights]] = {
    "samples": samples,
    "equal": equal,
    "inverse_loss": inverse_loss,
    "loss_variance": loss_variance,
}
