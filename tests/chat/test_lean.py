"""The fast decoder computes what the model computes, whatever adapters answer and however the tokens arrive."""

from __future__ import annotations

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from engine.chat_messages import ChatTurn
from engine.model.adapters import TRAINING, AdapterBank, to_bytes
from engine.model.decoding import BankDecoder, Decoding, Served
from engine.model.generate import Sampling, generate
from engine.model.lean import LeanDecoder, can_decode
from engine.model.template import encode_pair, prompt_ids
from tests.chat.conftest import adapter

CLOSE = 0.03
"""Packed weights and bf16 arithmetic, on logits that spread over several units."""


def prompt(bank: AdapterBank, text: str = "What are the symptoms of asthma?") -> torch.Tensor:
    return torch.tensor([prompt_ids(bank.base.tokenizer, [ChatTurn(role="user", text=text)])])


def one_by_one(decoding: Decoding, ids: torch.Tensor) -> torch.Tensor:
    for at in range(ids.shape[1]):
        logits = decoding.extend(ids[:, at : at + 1])
    return logits


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_a_prompt_is_read_as_the_model_reads_it(
    bank: AdapterBank, lean: LeanDecoder, general: BankDecoder, seed: int | None
) -> None:
    served = Served() if seed is None else adapter(bank, seed)

    ours, theirs = (decoder.start([served]).extend(prompt(bank)) for decoder in (lean, general))

    torch.testing.assert_close(ours, theirs, atol=CLOSE / 3, rtol=0.0)  # the vocabulary projection is packed


def test_token_by_token_comes_close_to_all_at_once(bank: AdapterBank, lean: LeanDecoder) -> None:
    served = adapter(bank, 1)

    single = one_by_one(lean.start([served]), prompt(bank))

    assert (single - lean.start([served]).extend(prompt(bank))).abs().max() < CLOSE


def test_adapters_in_one_batch_answer_as_each_alone(bank: AdapterBank, lean: LeanDecoder) -> None:
    several = [Served(), adapter(bank, 1), adapter(bank, 2)]

    together = one_by_one(lean.start(several), prompt(bank).expand(3, -1))

    alone = torch.cat([one_by_one(lean.start([served]), prompt(bank)) for served in several])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(alone[0], alone[1], atol=0.1)


@pytest.mark.parametrize("kind", ["lean", "general"])
def test_what_was_cut_off_is_forgotten(bank: AdapterBank, kind: str, request: pytest.FixtureRequest) -> None:
    decoding = request.getfixturevalue(kind).start([adapter(bank, 1)])
    ids = prompt(bank)
    expected = decoding.extend(ids)
    decoding.extend(torch.tensor([[7, 8, 9]]))

    decoding.cut(ids.shape[1] - 1)

    torch.testing.assert_close(decoding.extend(ids[:, -1:]), expected, atol=CLOSE, rtol=0.0)


def test_the_cache_grows_with_a_long_conversation(bank: AdapterBank, lean: LeanDecoder, general: BankDecoder) -> None:
    ids = prompt(bank).repeat(1, 12)[:, :400]
    decodings = [decoder.start([Served()]) for decoder in (lean, general)]
    for decoding in decodings:
        decoding.extend(ids[:, :200])

    ours, theirs = (decoding.extend(ids[:, 200:]) for decoding in decodings)

    torch.testing.assert_close(ours, theirs, atol=CLOSE / 3, rtol=0.0)  # the vocabulary projection is packed


def test_a_reference_answer_scores_as_with_the_model_itself(bank: AdapterBank, lean: LeanDecoder, general: BankDecoder) -> None:
    example = encode_pair(bank.base.tokenizer, "What is asthma?", "A disease of the airways.", 128)
    served = adapter(bank, 1)

    assert lean.loss(served, example) == pytest.approx(general.loss(served, example), abs=1e-4)


def test_another_adapter_shape_is_taken_as_it_is(bank: AdapterBank, lean: LeanDecoder, general: BankDecoder) -> None:
    torch.manual_seed(3)
    prefix, model = "base_model.model.model.layers.1.mlp.down_proj.lora_", bank.base.model
    wide = {
        f"{prefix}A.weight": torch.randn(3, model.config.intermediate_size),
        f"{prefix}B.weight": torch.randn(model.config.hidden_size, 3),
    }
    served = Served(wide, bank.lora)

    changed = lean.start([Served(), served]).extend(prompt(bank).expand(2, -1))

    assert (changed[0] - changed[1]).abs().max() > 0.1


def test_other_models_are_left_to_the_general_decoder() -> None:
    assert not can_decode(GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=32, vocab_size=50)))


@pytest.mark.parametrize(
    "change",
    [
        {"attention_bias": True},
        {"hidden_act": "gelu"},
        {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
    ],
)
def test_a_llama_with_something_unusual_is_left_to_the_general_decoder(change: dict[str, object]) -> None:
    shape = dict(vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)

    assert can_decode(LlamaForCausalLM(LlamaConfig(**shape)))
    assert not can_decode(LlamaForCausalLM(LlamaConfig(**shape, **change)))


def test_an_answer_leaves_training_alone(bank: AdapterBank, lean: LeanDecoder) -> None:
    """No slot is switched, no number is drawn and no weight is touched, so training goes on with the same bits."""
    bank.use(TRAINING, training=True)
    before, random = to_bytes(bank.get(TRAINING)), torch.random.get_rng_state()

    list(generate(lean.start([adapter(bank, 1)]), [1, 5, 9], Sampling(max_tokens=4, temperature=1.0), ends=()))

    assert bank.peft.training and all(parameter.requires_grad for parameter in bank.parameters())
    assert to_bytes(bank.get(TRAINING)) == before
    assert torch.equal(torch.random.get_rng_state(), random)
