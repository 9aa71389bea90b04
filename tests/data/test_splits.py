"""Splits by topic: a topic never crosses them, and every hospital can be trained and judged."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.pairs import TRAIN, VALIDATION, Pair
from engine.data.splits import topic_split, with_splits
from engine.errors import DataError
from tests.data.helpers import make_pairs


def _hospitals(pairs: list[Pair], count: int) -> list[Pair]:
    return [replace(pair, hospital=f"H{at % count}") for at, pair in enumerate(pairs)]


def test_the_shares_are_about_85_5_and_10_percent() -> None:
    counts = Counter(topic_split(f"topic {number}") for number in range(10_000))

    assert counts[TRAIN] / 10_000 == pytest.approx(0.85, abs=0.01)
    assert counts[VALIDATION] / 10_000 == pytest.approx(0.05, abs=0.01)


def test_case_makes_no_difference_and_the_seed_does() -> None:
    topics = [f"Topic {number}" for number in range(200)]

    assert [topic_split(topic) for topic in topics] == [topic_split(topic.upper()) for topic in topics]
    assert [topic_split(topic, seed=1) for topic in topics] != [topic_split(topic) for topic in topics]


@settings(max_examples=60, deadline=None)
@given(
    placed=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), min_size=40, max_size=120),
    seed=st.integers(0, 1000),
)
def test_a_topic_never_crosses_splits_at_any_hospital(placed: list[tuple[int, int]], seed: int) -> None:
    pairs = [
        replace(pair, topic=f"topic {topic}", hospital=f"H{hospital}")
        for pair, (topic, hospital) in zip(make_pairs(len(placed), 1), placed, strict=True)
    ]
    try:
        split = with_splits(pairs, seed)
    except DataError:
        return  # a hospital with one topic: see below

    splits_of: dict[str, set[str]] = defaultdict(set)
    held: dict[str, set[str]] = defaultdict(set)
    for pair in split:
        splits_of[pair.topic].add(pair.split)
        held[pair.hospital].add(pair.split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert all({TRAIN, VALIDATION} <= splits for splits in held.values())


def test_a_small_hospital_gets_validation_pairs_by_moving_one_topic_everywhere() -> None:
    pairs = _hospitals(make_pairs(20, topics=10), 2)
    assert VALIDATION not in {topic_split(pair.topic) for pair in pairs}  # the hash alone leaves it without

    moved = {pair.topic for pair in with_splits(pairs, seed=0) if pair.split == VALIDATION}

    assert 1 <= len(moved) <= 2


def test_a_hospital_with_one_topic_cannot_be_split() -> None:
    with pytest.raises(DataError, match=r"hospital A: it has too few topics"):
        with_splits(make_pairs(10, topics=1, hospital="A"), seed=0)


def test_splits_of_the_source_are_kept() -> None:
    given_splits = ["train", "test", "validation", "train"] * 10
    pairs = [replace(pair, split=split) for pair, split in zip(make_pairs(40, 40, "A"), given_splits, strict=True)]

    assert [pair.split for pair in with_splits(pairs, seed=0)] == given_splits


def test_a_source_with_train_and_test_only_gives_some_training_topics_for_validation() -> None:
    pairs = [replace(pair, split="test" if at % 5 == 0 else "train") for at, pair in enumerate(make_pairs(1000, 1000, "A"))]

    counts = Counter(pair.split for pair in with_splits(pairs, seed=0))

    assert counts["test"] == 200
    assert 20 <= counts[VALIDATION] <= 60


def test_pairs_without_a_topic_are_split_by_their_question() -> None:
    pairs = [replace(pair, topic="") for pair in make_pairs(400, 1, "A")]

    assert len({pair.split for pair in with_splits(pairs, seed=0)}) == 3
