"""Candidates on a real, tiny model: the stacked factors against adapters that were really combined and put in place."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
import torch

from engine import locations
from engine.aggregation.combine import Ranks, combine
from engine.federated.hospital import Hospital
from engine.federated.update import Assessment, Slice, Verdict
from engine.model.adapters import Adapter, AdapterBank
from engine.settings import load_config

NO_LIMIT = 10**9


@pytest.fixture(scope="module")
def hospital(bank: AdapterBank) -> Hospital:
    config = load_config(overrides={"lora.rank": 4, "data.validation_pairs": 1000, "data.max_pairs": 8})
    one = Hospital("B", locations.sample_folder(), config)
    one.attach(bank)
    return one


def trained(bank: AdapterBank, seed: int, size: float = 0.3) -> Adapter:
    draw = torch.Generator().manual_seed(seed)
    return {name: size * torch.randn(tensor.shape, generator=draw) for name, tensor in bank.initial(seed).items()}


def finish(work: Generator[None, None, Any]) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def assess(hospital: Hospital, adapters: list[Adapter], vectors: list[tuple[float, ...]], **changes: Any) -> Verdict:
    settings: dict[str, Any] = {"round": 1, "part": "all", "pairs": 1000, "tokens": {"B": NO_LIMIT}} | changes
    verdict = finish(hospital.assess(Assessment(adapters=tuple(adapters), vectors=tuple(vectors), **settings)))
    assert isinstance(verdict, Verdict)
    return verdict


def test_a_candidate_loses_what_its_combined_adapter_loses(bank: AdapterBank, hospital: Hospital) -> None:
    adapters, vectors = [trained(bank, seed) for seed in range(3)], [(0.5, 0.5), (1.2, -0.1), (0.0, 0.3)]

    verdict = assess(hospital, adapters, vectors)

    for vector, loss in zip(vectors, verdict.losses, strict=True):
        whole = combine("stacked", adapters[0], adapters[1:], vector, Ranks(4, stacked=12)).adapter
        assert loss == pytest.approx(finish(hospital.evaluate(whole)).loss, abs=1e-5)


def test_adapters_of_different_ranks_stand_side_by_side(bank: AdapterBank, hospital: Hospital) -> None:
    adapters = [trained(bank, seed) for seed in range(3)]
    short = {name: tensor[:2] if "_A." in name else tensor[:, :2] for name, tensor in adapters[2].items()}

    verdict = assess(hospital, [*adapters[:2], short], [(0.0, 1.0)])

    assert verdict.losses[0] == pytest.approx(finish(hospital.evaluate(short)).loss, abs=1e-5)


def test_slopes_are_the_change_of_the_loss_with_each_weight(bank: AdapterBank, hospital: Hospital) -> None:
    adapters, step = [trained(bank, seed) for seed in range(3)], 1e-2

    slopes = assess(hospital, adapters, [(0.6, 0.4)], slopes=True).slopes
    up, down = (assess(hospital, adapters, [(0.6 + sign * step, 0.4)]).losses[0] for sign in (1, -1))

    assert slopes[0] == pytest.approx((up - down) / (2 * step), rel=0.02)


def test_gains_are_measured_against_the_first_candidate(bank: AdapterBank, hospital: Hospital) -> None:
    adapters = [trained(bank, seed) for seed in range(3)]

    verdict = assess(hospital, adapters, [(0.5, 0.5), (0.5, 0.5), (1.0, 0.0)])

    assert verdict.gains[:2] == (0.0, 0.0)
    assert verdict.errors[:2] == (0.0, 0.0)
    assert verdict.gains[2] == pytest.approx(verdict.losses[0] - verdict.losses[2])
    assert verdict.errors[2] > 0


def test_trying_candidates_leaves_the_model_as_it_was(bank: AdapterBank, hospital: Hospital) -> None:
    mine = trained(bank, 5)
    before = finish(hospital.evaluate(mine)).loss

    assess(hospital, [trained(bank, seed) for seed in range(3)], [(1.0, 1.0)], slopes=True)

    assert finish(hospital.evaluate(mine)).loss == before
    assert all(parameter.grad is None for parameter in bank.base.model.parameters())


def test_too_few_pairs_to_be_told_from_each_other_are_not_spoken_of(bank: AdapterBank, hospital: Hospital) -> None:
    adapters = [trained(bank, seed) for seed in range(2)]

    told = {pairs: assess(hospital, adapters, [(0.0,), (1.0,)], pairs=pairs) for pairs in (1, 2, 3)}

    assert {pairs: (one.pairs, len(one.losses), one.tokens) for pairs, one in told.items()} == {
        1: (0, 0, 0),
        2: (0, 0, 0),
        3: (3, 2, told[3].tokens),
    }


def test_the_slices_share_no_topic_and_test_pairs_are_in_neither(hospital: Hospital) -> None:
    pairs = hospital._judged_pairs
    topics: dict[Slice, set[str]] = {part: {pairs[index].topic for index in hospital._pools[part]} for part in ("screen", "test")}

    assert topics["screen"] and topics["test"]
    assert topics["screen"].isdisjoint(topics["test"])
    assert {pair.split for pair in pairs} == {"validation"}


def test_the_test_slice_is_drawn_anew_each_round_and_the_same_each_time(bank: AdapterBank, hospital: Hospital) -> None:
    adapters = [trained(bank, seed) for seed in range(2)]

    first, again, later = (assess(hospital, adapters, [(1.0,)], part="test", pairs=4, round=n).losses for n in (1, 1, 2))

    assert first == again
    assert first != later


def test_a_hospital_keeps_to_the_tokens_it_was_given(bank: AdapterBank, hospital: Hospital) -> None:
    adapters = [trained(bank, seed) for seed in range(2)]

    few, none = (assess(hospital, adapters, [(1.0,)], part="test", tokens={"B": tokens}) for tokens in (900, 0))

    assert 0 < few.tokens <= 900
    assert (none.pairs, none.losses) == (0, ())
