"""The fast parts of a training step compute what the usual ones compute."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.data.batches import Batch, collate
from engine.model import fast_blocks
from engine.model.adapters import TRAINING, AdapterBank
from engine.model.fast_blocks import FastDropout, projected_nll, short_attention
from engine.model.loss import answer_nll
from engine.model.template import encode_pair

PAIRS = [
    ("What is asthma?", "Asthma is a long-term disease of the airways, which swell and narrow."),
    ("Why wash hands?", "Soap and water take germs off."),
]


@pytest.fixture
def batch(bank: AdapterBank) -> Batch:
    """Two pairs of different length, so that one of them is padded."""
    return collate([encode_pair(bank.base.tokenizer, *pair, 128) for pair in PAIRS], 0)


def loss_and_gradients(bank: AdapterBank, batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """Without dropout."""
    adapter = {
        name: torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)) for name, tensor in bank.initial(0).items()
    }
    bank.put(TRAINING, adapter)
    bank.use(TRAINING, training=True)
    bank.base.model.eval()
    nll = answer_nll(bank.base.model, batch)
    nll.sum().backward()
    return nll.detach(), [parameter.grad.clone() for parameter in bank.parameters() if parameter.grad is not None]


def test_loss_and_gradients_are_those_of_the_usual_attention(
    bank: AdapterBank, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, fast_gradients = loss_and_gradients(bank, batch)
    for parameter in bank.parameters():
        parameter.grad = None
    monkeypatch.setattr(fast_blocks, "LONGEST", 0)  # every sequence is too long for the fast attention

    usual, gradients = loss_and_gradients(bank, batch)

    torch.testing.assert_close(fast, usual)
    assert len(gradients) == 8
    torch.testing.assert_close(fast_gradients, gradients)


def test_the_usual_attention_is_back_after_the_block(bank: AdapterBank) -> None:
    config = bank.base.model.config
    usual = config._attn_implementation

    with short_attention(bank.base.model, tokens=8):
        inside = config._attn_implementation

    assert (inside, config._attn_implementation) == (fast_blocks.NAME, usual)


@pytest.mark.parametrize("words", [50, fast_blocks.WORDS, 3 * fast_blocks.WORDS + 1])
def test_the_projected_loss_and_its_gradient_are_those_of_cross_entropy(words: int) -> None:
    torch.manual_seed(0)
    head = nn.Linear(16, words, bias=False).requires_grad_(False)
    hidden, targets, outer = torch.randn(7, 16, requires_grad=True), torch.randint(words, (7,)), torch.randn(7)
    expected = F.cross_entropy(head(hidden), targets, reduction="none")
    (expected_gradient,) = torch.autograd.grad((expected * outer).sum(), hidden)

    measured = projected_nll(hidden, head, targets)
    (gradient,) = torch.autograd.grad((measured * outer).sum(), hidden)

    torch.testing.assert_close(measured, expected)
    torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize("lane", range(4))
def test_dropout_drops_its_share_of_every_lane_of_a_draw_and_keeps_the_mean(lane: int) -> None:
    torch.manual_seed(0)
    dropped = FastDropout(0.05).train()(torch.ones(400_000))[lane::4]

    assert float((dropped == 0).float().mean()) == pytest.approx(0.05, abs=0.003)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.004)


def test_dropout_repeats_itself_with_the_same_seed_and_rests_in_evaluation() -> None:
    layer, x = FastDropout(0.5), torch.ones(3, 5)
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(layer.train()(x))

    assert torch.equal(*draws)
    assert torch.equal(layer.eval()(x), x)


def test_a_bank_trains_with_the_fast_dropout(bank: AdapterBank) -> None:
    bank.put("another", bank.initial(0))

    found = [module for name, module in bank.peft.named_modules() if "lora_dropout." in name]

    assert found
    assert {type(module) for module in found} == {FastDropout}
