"""What is said about an aggregation: who counts how much, what was tried, why, and the question "what if".

`Aggregated` is the whole record of a round's decision. The sentences in `reasons` are built from its other fields alone
(`engine.aggregation.explain`), and each names the fields it rests on. This module imports no tensor library.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.messages import Command, Count, Event, Figure, Round, Share

Standing = Literal["counted", "gated", "suspect"]
Conclusion = Literal["rule", "chosen", "kept", "thin", "fixed"]


class HospitalWeight(Struct, frozen=True, kw_only=True):
    """How much one hospital's update counts in a round."""

    hospital: str
    pairs: Count
    sample_share: Share
    """Its share of the pairs behind the round's updates; 0 without a usable update."""
    weight: Share
    """Its share of the combined adapter; the shares of all hospitals add up to 1."""
    standing: Standing = "counted"
    """`gated`: no usable update, or one far too long. `suspect`: alone it harms the other hospitals. Neither counts nor votes."""
    why: str = ""
    """Why it was gated; empty otherwise."""
    norm: Figure = 0.0
    """Length of its update (Frobenius norm of the change of the products B·A over all layers), in medians of all hospitals."""
    cosine: Figure = 0.0
    """Agreement of its update's direction with the mean of all, -1 to 1."""
    suspect_rounds: tuple[Count, ...] = ()
    """Of the last three rounds, this one included, those in which it was suspect or gated."""


class Transfer(Struct, frozen=True, kw_only=True):
    """What one hospital's update, taken alone, does to a hospital's screening slice."""

    hospital: str
    """Whose update."""
    voter: str
    """Whose pairs."""
    gain: Figure
    """Relative fall of the loss: 0.04 is 4 % lower, -0.2 is 20 % higher."""
    error: Figure
    """Standard error of `gain` over the voter's pairs."""


class Candidate(Struct, frozen=True, kw_only=True):
    """A weight vector that was considered. `weights` are in the order of `Aggregated.weights` and may add up to more than 1."""

    name: str
    weights: tuple[Share, ...]
    screen: Figure
    """Expected relative gain over sample weights on the screening slices, as the voters' bounded mean."""
    gain: Figure | None = None
    """Measured relative gain on the test slices, evidence of earlier rounds included; None when it was not tested."""
    error: Figure | None = None
    """Standard error of `gain`."""
    chosen: bool = False


class SliceUse(Struct, frozen=True, kw_only=True):
    """Validation pairs that one voter used. The two slices share no topic; both are drawn anew each round."""

    voter: str
    screen_pairs: Count
    test_pairs: Count
    voted: bool = True
    """A hospital that is gated or suspect has no vote."""


class JudgingCost(Struct, frozen=True, kw_only=True):
    """What judging took. Work is counted in forward passes of one token; a training token counts as two."""

    work: Count
    training_work: Count
    limit: Figure
    """Largest allowed share, from the settings. It binds the counted work, so that a run is the same at any speed."""
    seconds: Figure

    @property
    def share(self) -> float:
        """Judging work per training work."""
        return self.work / self.training_work if self.training_work else 0.0


class Reason(Struct, frozen=True, kw_only=True):
    """One sentence, and the fields of `Aggregated` it was made from (`weights[C].weight`, `transfer[C→A].gain` …)."""

    text: str
    fields: tuple[str, ...]


class Aggregated(Event, frozen=True, kw_only=True):
    """The coordinator combined the updates into the next global adapter."""

    round: Round
    weighting: str
    combine: str
    weights: tuple[HospitalWeight, ...]
    reason: str
    """The first sentences of `reasons` in one line."""
    scale: Share = 1.0
    """Step size: the hospitals' part of the new adapter; the rest to 1 is the round's start adapter."""
    combine_error: Figure = 0.0
    """Relative error of the new adapter against the exact weighted product (Frobenius norm over all layers)."""
    server_optimizer: str = "fedavg"
    trust: str = "fixed"
    verdict: Conclusion = "rule"
    """`rule`: nothing was tried. `chosen`: a candidate replaced sample weights. `kept`: none was better for sure. `thin`: too few
    pairs or voters to tell. `fixed`: nobody may evaluate."""
    shrink: Figure = 0.0
    """How far the weights went from sample weights (0) to the chosen candidate (1): gain² / (gain² + error²)."""
    transfer: tuple[Transfer, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    slices: tuple[SliceUse, ...] = ()
    cost: JudgingCost | None = None
    reasons: tuple[Reason, ...] = ()
    narration: str = ""
    """The reasons as the base model retold them; empty unless `aggregation.narrator` is on."""


class WhatIf(Command, frozen=True, kw_only=True):
    """Evaluate a weight vector over a finished round's updates on up to `data.validation_pairs` pairs of every hospital's.

    The run is not changed.
    """

    job: str
    run: str
    weights: dict[str, float]
    """Weight by hospital; they need not add up to 1. Hospitals left out count 0."""


class WhatIfLoss(Struct, frozen=True, kw_only=True):
    """Validation loss at one hospital."""

    hospital: str
    loss: float
    as_aggregated: float
    """The same with the weights that the run used."""
    pairs: int


class WhatIfEvaluated(Event, frozen=True, kw_only=True):
    """The answer to `WhatIf`."""

    job: str
    run: str
    round: int
    """The round whose updates were weighted: the run's newest finished one."""
    weights: dict[str, float]
    losses: tuple[WhatIfLoss, ...]
    gain: float
    """Mean over hospitals of the relative fall of the loss against the weights that the run used."""
    error: float
    """Standard error of `gain` over pairs."""
