"""Batches for training and evaluation: pairs of like length together, padded to the batch's longest, answers marked.

Padding costs as much as text, so batches are cut from length-sorted groups; the groups and the batches' order are shuffled, so
that no two passes see the same batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.model.template import Example

GROUP_BATCHES = 16
"""Batches sorted by length together; larger means less padding and less mixing."""


@dataclass(frozen=True)
class Batch:
    """Right-padded token ids. B pairs, T tokens of the longest."""

    ids: Tensor  # (B, T) int64
    attention: Tensor  # (B, T) int64, 1 for text
    predicts: Tensor  # (B, T) bool, true where the NEXT token is part of the answer

    @property
    def tokens(self) -> int:
        """Tokens computed, padding included."""
        return self.ids.numel()


def length_bucketed(lengths: Sequence[int], batch_size: int, generator: torch.Generator) -> list[list[int]]:
    """Indices 0..n-1 once each, in shuffled batches of `batch_size` whose members have like lengths."""
    order = torch.randperm(len(lengths), generator=generator).tolist()
    group = batch_size * GROUP_BATCHES
    batches = []
    for start in range(0, len(order), group):
        members = sorted(order[start : start + group], key=lambda index: lengths[index])
        batches += [members[at : at + batch_size] for at in range(0, len(members), batch_size)]
    shuffled = torch.randperm(len(batches), generator=generator).tolist()
    return [batches[index] for index in shuffled]


def by_length(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Indices 0..n-1 once each, in batches from shortest to longest: for evaluation, where order does not matter."""
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    return [order[at : at + batch_size] for at in range(0, len(order), batch_size)]


def collate(examples: Sequence[Example], pad_id: int) -> Batch:
    """Pad to the longest example."""
    longest = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), longest), pad_id, dtype=torch.long)
    attention = torch.zeros((len(examples), longest), dtype=torch.long)
    predicts = torch.zeros((len(examples), longest), dtype=torch.bool)
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids[row, :length] = torch.tensor(example.ids)
        attention[row, :length] = 1
        predicts[row, example.prompt_length - 1 : length - 1] = True
    return Batch(ids=ids, attention=attention, predicts=predicts)
