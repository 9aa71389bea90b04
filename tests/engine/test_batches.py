"""Batches hold every pair once, waste little on padding, and mark exactly the answers."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.data.batches import by_length, collate, length_bucketed
from engine.model.template import Example

LENGTHS = st.lists(st.integers(min_value=1, max_value=400), min_size=1, max_size=80)


@given(LENGTHS, st.integers(min_value=1, max_value=9), st.integers(min_value=0, max_value=2**31))
def test_every_pair_comes_exactly_once(lengths: list[int], size: int, seed: int) -> None:
    batches = length_bucketed(lengths, size, torch.Generator().manual_seed(seed))

    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))


@given(LENGTHS, st.integers(min_value=1, max_value=9))
def test_evaluation_sees_every_pair_exactly_once_shortest_first(lengths: list[int], size: int) -> None:
    order = [index for batch in by_length(lengths, size) for index in batch]

    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[index] for index in order] == sorted(lengths)


def test_pairs_of_like_length_share_a_batch() -> None:
    lengths = [10, 200] * 32
    order = torch.Generator().manual_seed(1)

    padded = sum(len(batch) * max(lengths[index] for index in batch) for batch in length_bucketed(lengths, 4, order))

    assert padded == sum(lengths)


def test_the_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    lengths = list(range(1, 60))

    def order(seed: int) -> list[list[int]]:
        return length_bucketed(lengths, 4, torch.Generator().manual_seed(seed))

    assert order(3) == order(3)
    assert order(3) != order(4)


def test_collate_marks_the_positions_that_predict_answer_tokens() -> None:
    examples = [Example(ids=(5, 6, 7, 8), prompt_length=2), Example(ids=(5, 9), prompt_length=1)]

    batch = collate(examples, pad_id=0)

    assert batch.ids.tolist() == [[5, 6, 7, 8], [5, 9, 0, 0]]
    assert batch.attention.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch.predicts.tolist() == [[False, True, True, False], [True, False, False, False]]
