"""Local training: seeded to the bit, undisturbed by a chat in between, honest about what it saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from engine import locations
from engine.federated.hospital import Hospital
from engine.federated.local import learning_rate_scale
from engine.federated.update import Assignment, Update
from engine.model.adapters import AdapterBank, to_bytes
from engine.model.decoding import BankDecoder, Served
from engine.model.generate import Sampling, generate
from engine.model.template import encode_pair
from engine.protocol import StepDone
from engine.settings import load_config


def hospital(bank: AdapterBank, **overrides: Any) -> Hospital:
    settings = {"training.local_steps": 4, "training.batch_size": 2, "lora.rank": 4, "data.max_pairs": 20}
    config = load_config(overrides=settings | {key.replace("__", "."): value for key, value in overrides.items()})
    one = Hospital("B", locations.sample_folder(), config)
    one.attach(bank)
    return one


def train(one: Hospital, bank: AdapterBank, round_number: int = 1, between: Callable[[], object] = lambda: None) -> Update:
    work = one.train(Assignment(round_number, bank.initial(seed=3)))
    while True:
        try:
            next(work)
        except StopIteration as end:
            assert isinstance(end.value, Update)
            return end.value
        between()


def test_the_same_seed_gives_the_same_bits(bank: AdapterBank) -> None:
    first, second = (train(hospital(bank), bank) for _ in range(2))

    assert to_bytes(first.adapter) == to_bytes(second.adapter)
    assert first.loss == second.loss


def test_another_seed_gives_another_update(bank: AdapterBank) -> None:
    first, second = (train(hospital(bank, seed=seed), bank) for seed in (1, 2))

    assert to_bytes(first.adapter) != to_bytes(second.adapter)


def test_chatting_between_micro_steps_does_not_change_training(bank: AdapterBank) -> None:
    undisturbed = train(hospital(bank), bank)

    def chat() -> None:
        list(generate(BankDecoder(bank).start([Served()]), [1, 5, 9], Sampling(max_tokens=2, temperature=1.0, seed=9), ends=()))
        torch.rand(3)  # and somebody draws from the global generator

    disturbed = train(hospital(bank), bank, between=chat)

    assert to_bytes(disturbed.adapter) == to_bytes(undisturbed.adapter)


def test_gradient_accumulation_equals_the_larger_batch(bank: AdapterBank) -> None:
    whole = train(hospital(bank, training__batch_size=4, training__local_steps=1, lora__dropout=0.0, data__max_pairs=4), bank)
    parts = train(
        hospital(
            bank,
            training__batch_size=2,
            training__gradient_accumulation=2,
            training__local_steps=1,
            lora__dropout=0.0,
            data__max_pairs=4,
        ),
        bank,
    )

    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
    one, other = (torch.cat([tensor.flatten() for tensor in update.adapter.values()]) for update in (whole, parts))
    assert torch.cosine_similarity(one, other, dim=0) > 0.999  # Adam's first step turns rounding into a sign here and there


def test_zero_local_steps_means_one_pass_over_the_pairs(bank: AdapterBank) -> None:
    one = hospital(bank, training__local_steps=0, training__batch_size=3, data__max_pairs=20)

    assert one.steps_per_round == 7


def test_training_lowers_the_training_loss(bank: AdapterBank) -> None:
    one = hospital(bank, training__local_steps=30, training__learning_rate=0.02, data__max_pairs=4)
    losses = [event.loss for event in one.train(Assignment(1, bank.initial(seed=3))) if isinstance(event, StepDone)]

    assert sum(losses[-5:]) < sum(losses[:5])


def test_what_it_reports_is_what_it_did(bank: AdapterBank) -> None:
    one = hospital(bank)
    work, losses = one.train(Assignment(1, bank.initial(seed=3))), []
    update = None
    while update is None:
        try:
            event = next(work)
        except StopIteration as end:
            update = end.value
        else:
            losses += [event.loss] if isinstance(event, StepDone) else []

    assert (update.hospital, update.pairs, update.steps) == ("B", 20, 4)
    assert update.loss == pytest.approx(sum(losses) / 4)


def test_it_tells_which_pairs_its_batches_drew(bank: AdapterBank) -> None:
    one, seen = hospital(bank), set[tuple[int, ...]]()

    def look(module: object, arguments: object, given: dict[str, torch.Tensor]) -> None:
        rows = zip(given["input_ids"], given["attention_mask"], strict=True)
        seen.update(tuple(ids[mask.bool()].tolist()) for ids, mask in rows)

    with bank.base.model.base_model.register_forward_pre_hook(look, with_kwargs=True):
        train(one, bank, round_number=2)

    drawn = one.trained_on([2])
    assert len(drawn) == 8  # 4 steps of 2, within one pass over 20 pairs
    assert {tuple(encode_pair(bank.base.tokenizer, pair.question, pair.answer, 256).ids) for pair in drawn} == seen
    assert len(one.trained_on([1, 2, 3])) == 20


def test_the_learning_rate_warms_up_then_falls_to_zero_over_the_whole_run() -> None:
    scales = [learning_rate_scale(step, total=100, warmup_fraction=0.1) for step in range(1, 101)]

    assert scales[0] == pytest.approx(0.1)
    assert scales[9] == 1.0
    assert scales[9:] == sorted(scales[9:], reverse=True)
    assert scales[-1] == pytest.approx(0.0, abs=1e-9)
