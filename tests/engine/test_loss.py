"""The loss counts answer tokens only, and padding changes nothing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from engine.data.batches import collate
from engine.model.adapters import AdapterBank
from engine.model.loss import answer_nll, per_pair_sums
from engine.model.template import encode_pair

PAIRS = [
    ("What is asthma?", "Asthma is a long-term disease of the airways."),
    ("Why wash hands?", "Soap and water take germs off."),
]


def test_it_is_the_plain_loss_of_each_answer_token(bank: AdapterBank) -> None:
    example = encode_pair(bank.base.tokenizer, *PAIRS[0], 128)
    ids = torch.tensor([example.ids])
    with torch.no_grad():
        logits = bank.base.model(ids).logits[0]
    start = example.prompt_length
    expected = F.cross_entropy(logits[start - 1 : -1], ids[0, start:], reduction="none")

    with torch.no_grad():
        measured = answer_nll(bank.base.model, collate([example], 0))

    torch.testing.assert_close(measured, expected)


def test_a_pair_loses_the_same_alone_and_in_a_padded_batch(bank: AdapterBank) -> None:
    examples = [encode_pair(bank.base.tokenizer, *pair, 128) for pair in PAIRS]
    with torch.no_grad():
        alone = [float(answer_nll(bank.base.model, collate([example], 0)).sum()) for example in examples]
        batch = collate(examples, 0)
        together = per_pair_sums(answer_nll(bank.base.model, batch), batch)

    assert together.tolist() == pytest.approx(alone, rel=1e-4)
