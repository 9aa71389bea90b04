"""Answers: greedy decoding is the model's own, sampling is seeded, text never breaks a character."""

from __future__ import annotations

import pytest
import torch
from transformers import LogitsProcessorList, RepetitionPenaltyLogitsProcessor

from engine.model.adapters import AdapterBank
from engine.model.decoding import BankDecoder, Served
from engine.model.generate import Sampling, TextStream, choose, generate
from engine.model.template import prompt_ids
from engine.protocol import BASE, ChatTurn

LOGITS = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_decoding_agrees_with_transformers_generate(bank: AdapterBank, penalty: float) -> None:
    prompt = prompt_ids(bank.base.tokenizer, [ChatTurn(role="user", text="What is asthma?")])
    bank.use(BASE, training=False)
    only_answer = RepetitionPenaltyLogitsProcessor(penalty, prompt_ignore_length=len(prompt))
    made = bank.base.model.generate(
        torch.tensor([prompt]), max_new_tokens=12, do_sample=False, logits_processor=LogitsProcessorList([only_answer])
    )
    theirs = made[0, len(prompt) :].tolist()

    decoding, end = BankDecoder(bank).start([Served()]), bank.base.tokenizer.eos_token_id
    sampling = Sampling(max_tokens=12, repetition_penalty=penalty)
    ours = [item[1] for item in generate(decoding, prompt, sampling, {end}) if item and item[1] is not None]

    assert ours == [token for token in theirs if token != end]


def draws(sampling: Sampling, count: int = 200) -> list[int]:
    generator = torch.Generator().manual_seed(sampling.seed)
    return [choose(LOGITS, sampling, generator) for _ in range(count)]


def test_temperature_zero_takes_the_likeliest() -> None:
    assert set(draws(Sampling(temperature=0))) == {0}


def test_top_p_keeps_only_the_likeliest_tokens_that_reach_it() -> None:
    assert set(draws(Sampling(temperature=1, top_p=0.75))) == {0, 1}


def test_the_same_seed_draws_the_same_tokens() -> None:
    assert draws(Sampling(temperature=1, top_p=1, seed=5)) == draws(Sampling(temperature=1, top_p=1, seed=5))


def test_half_a_character_is_held_back(bank: AdapterBank) -> None:
    tokenizer = bank.base.tokenizer
    ids = tokenizer("a 🩺 b", add_special_tokens=False)["input_ids"]
    stream = TextStream(tokenizer)

    pieces = [stream.push(token) for token in ids]

    assert "".join(pieces) + stream.flush() == "a 🩺 b"
    assert not any("\ufffd" in piece for piece in pieces)
