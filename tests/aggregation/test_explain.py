"""The sentences about a decision, word for word, one record per verdict."""

from __future__ import annotations

import msgspec
import pytest

from engine.aggregation.explain import explain
from engine.aggregation_messages import Aggregated, Candidate, HospitalWeight, SliceUse, Transfer

NAMES = ("A", "B", "C")
EVENT = Aggregated(
    round=4,
    weighting="agent",
    combine="exact",
    weights=tuple(
        HospitalWeight(hospital=name, pairs=pairs, sample_share=pairs / 100, weight=pairs / 100)
        for name, pairs in zip(NAMES, (50, 30, 20), strict=True)
    ),
    reason="",
    trust="hospitals",
    slices=tuple(SliceUse(voter=name, screen_pairs=9, test_pairs=8) for name in NAMES),
)


def candidates(gain: float, *, chosen: bool = False) -> tuple[Candidate, ...]:
    return (
        Candidate(name="equal", weights=(0.33, 0.33, 0.33), screen=0.002, gain=gain, error=0.0006, chosen=chosen),
        Candidate(name="optimum", weights=(0.2, 0.4, 0.4), screen=0.004, gain=gain - 0.001, error=0.0009),
        Candidate(name="root of samples", weights=(0.4, 0.3, 0.3), screen=0.001),
    )


def told(**fields: object) -> list[str]:
    return [reason.text for reason in explain(msgspec.structs.replace(EVENT, **fields))]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"verdict": "rule", "weighting": "equal"}, "Every hospital counts the same."),
        (
            {"verdict": "fixed"},
            "Sample weights: with fixed weights nobody evaluates, so nothing better can be found and no bad update noticed.",
        ),
        ({"verdict": "thin"}, "Kept sample weights: 24 validation pairs of 3 voters are too few to tell."),
        (
            {"verdict": "kept", "candidates": candidates(0.0004)},
            "Kept sample weights: the best alternative tested, “equal”, gained 0.04 % ± 0.06 %, not distinguishable from chance.",
        ),
        (
            {"verdict": "kept", "candidates": candidates(-0.0022)},
            "Kept sample weights: the best alternative tested, “equal”, lost 0.22 % ± 0.06 %, so none is better.",
        ),
        (
            {"verdict": "chosen", "candidates": candidates(0.0009, chosen=True), "shrink": 0.692},
            "The candidate “equal” lowered the loss of fresh validation pairs by 0.09 % ± 0.06 % against sample weights "
            "(24 pairs this round): the weights went 69 % of the way to it.",
        ),
    ],
)
def test_the_first_sentence_says_what_was_decided(fields: dict[str, object], sentence: str) -> None:
    assert told(**fields)[0] == sentence


def test_a_changed_share_is_told_with_what_the_update_does_to_the_others() -> None:
    shares = (0.5, 0.38, 0.12)
    weights = tuple(msgspec.structs.replace(one, weight=w) for one, w in zip(EVENT.weights, shares, strict=True))
    gains = {("C", "A"): -0.012, ("C", "B"): -0.021, ("C", "C"): 0.05, ("B", "A"): 0.0044}
    transfer = tuple(Transfer(hospital=one, voter=voter, gain=gain, error=0.004) for (one, voter), gain in gains.items())

    sentences = told(verdict="kept", candidates=candidates(0.0), weights=weights, transfer=transfer)

    assert sentences[1:] == [
        "B counts 38 % instead of 30 %. Its update alone lowered the validation loss of A by 0.44 %.",
        "C counts 12 % instead of 20 %. Its update alone raised the validation loss of A and B by 1.20 % and 2.10 %.",
    ]
