"""What the aggregator decided in the made-up run of `script.py`: whole records, explained by the engine's own sentences."""

from __future__ import annotations

import msgspec

from engine.aggregation.explain import explain
from engine.protocol import Aggregated, Candidate, HospitalWeight, JudgingCost, SliceUse, Transfer

REASON = "C counts less than its share of the pairs: with its update the validation loss elsewhere rose."
GAINS = {
    ("A", "A"): 0.031, ("A", "B"): 0.018, ("A", "C"): 0.009,
    ("B", "A"): 0.022, ("B", "B"): 0.036, ("B", "C"): 0.014,
    ("C", "A"): -0.012, ("C", "B"): -0.021, ("C", "C"): 0.027,
}  # fmt: skip
"""What the update of the first does to the loss of the second, taken alone."""


def aggregated(round: int, weights: tuple[HospitalWeight, ...], reason: str = REASON) -> Aggregated:
    """The record of a round: too little evidence in the first, a candidate chosen in later ones."""
    names = tuple(one.hospital for one in weights)
    event = Aggregated(
        round=round,
        weighting="agent",
        combine="exact",
        weights=weights,
        reason=reason,
        scale=1.0 if round == 1 else 1.12,
        combine_error=0.0021,
        trust="hospitals",
        verdict="thin" if round == 1 else "chosen",
        shrink=0.0 if round == 1 else 0.84,
        transfer=tuple(
            Transfer(hospital=one, voter=voter, gain=GAINS.get((one, voter), 0.01), error=0.004)
            for one in names
            for voter in names
        ),
        candidates=() if round == 1 else _candidates(weights),
        slices=tuple(SliceUse(voter=name, screen_pairs=9, test_pairs=0 if round == 1 else 8) for name in names),
        cost=JudgingCost(work=5_300, training_work=25_200, limit=0.25, seconds=9.4),
    )
    return msgspec.structs.replace(event, reasons=explain(event))


def with_standing(event: Aggregated, hospital: str, standing: str, why: str = "") -> Aggregated:
    """The record, had that hospital been gated or suspect for the second time."""
    others = sum(one.weight for one in event.weights if one.hospital != hospital)
    weights = tuple(
        msgspec.structs.replace(one, weight=0.0, standing=standing, why=why, suspect_rounds=(event.round - 1, event.round))
        if one.hospital == hospital
        else msgspec.structs.replace(one, weight=one.weight / others)
        for one in event.weights
    )
    event = msgspec.structs.replace(event, weights=weights)
    return msgspec.structs.replace(event, reasons=explain(event))


def _candidates(weights: tuple[HospitalWeight, ...]) -> tuple[Candidate, ...]:
    """In the engine's order: the most promising first."""
    shares = [one.sample_share for one in weights]
    last = weights[-1].hospital
    less = [*shares[:-1], shares[-1] * 0.3]
    least = [*shares[:-1], 0.0]
    return (
        Candidate(name="optimum", weights=_scaled(least, 1.4), screen=0.0184, gain=0.0071, error=0.0062),
        Candidate(
            name=f"less of {last} × 1.25", weights=_scaled(less, 1.25), screen=0.0166, gain=0.0142, error=0.0031, chosen=True
        ),
        Candidate(name=f"without {last}", weights=_scaled(least, 1.0), screen=0.0151, gain=0.0098, error=0.0044),
        Candidate(name="use to others", weights=_scaled(less, 1.0), screen=0.0127),
        Candidate(name="samples × 1.25", weights=_scaled(shares, 1.25), screen=0.0083),
        Candidate(name="root of samples", weights=_scaled([share**0.5 for share in shares], 1.0), screen=0.0024),
        Candidate(name="equal", weights=_scaled([1.0] * len(shares), 1.0), screen=-0.0019),
    )


def _scaled(weights: list[float], total: float) -> tuple[float, ...]:
    return tuple(weight / sum(weights) * total for weight in weights)
