"""Train, validation and test by topic: the hash of a topic decides, so that no topic crosses splits at any hospital.

A hospital needs at least one training and one validation pair. Where the hash leaves it without, one of its topics changes its
split, at all hospitals at once, so that the rule above still holds.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engine.data.pairs import TEST, TRAIN, VALIDATION, Pair
from engine.errors import DataError

TEST_PERCENT = 10
VALIDATION_PERCENT = 5
RULE = (
    f"by the SHA-256 of the topic: {100 - VALIDATION_PERCENT - TEST_PERCENT} % train, {VALIDATION_PERCENT} % validation, "
    f"{TEST_PERCENT} % test; splits the source gives are kept"
)


def topic_split(topic: str, seed: int = 0) -> str:
    """The split all pairs of a topic belong to. Seed 0 gives the splits of the public MedQuAD selection."""
    percent = _percent(topic, seed)
    return TEST if percent < TEST_PERCENT else VALIDATION if percent < TEST_PERCENT + VALIDATION_PERCENT else TRAIN


def with_splits(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    """The pairs, each with a split, so that every hospital has training and validation pairs.

    A pair that has a split keeps it. When all have one but none is for validation, some topics are taken from the training pairs.

    Raises:
        DataError: a hospital has too few topics to be split.
    """
    carve = all(pair.split for pair in pairs) and not any(pair.split == VALIDATION for pair in pairs)
    splits = [_split(pair, seed, carve) for pair in pairs]
    groups: dict[tuple[str, str], _Group] = {}
    members = []
    for pair, split in zip(pairs, splits, strict=True):
        group = groups.setdefault((topic_key(pair), split), _Group(topic_key(pair), split))
        group.hospitals[pair.hospital] += 1
        members.append(group)
    _give_every_hospital_both(list(groups.values()), seed)
    return [replace(pair, split=group.split) for pair, group in zip(pairs, members, strict=True)]


def topic_key(pair: Pair) -> str:
    """What must not cross splits: the topic, or the question where there is none."""
    return (pair.topic or pair.question).lower()


@dataclass
class _Group:
    """All pairs of one topic in one split."""

    topic: str
    split: str
    hospitals: Counter[str] = field(default_factory=Counter)


def _split(pair: Pair, seed: int, carve: bool) -> str:
    by_hash = topic_split(topic_key(pair), seed)
    if carve and pair.split == TRAIN and by_hash == VALIDATION:
        return VALIDATION
    return pair.split or by_hash


def _give_every_hospital_both(groups: list[_Group], seed: int) -> None:
    """Move as few topics as needed: each hospital in turn takes the first by hash that nobody else would miss."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    groups_of: dict[str, list[_Group]] = defaultdict(list)
    for group in sorted(groups, key=lambda group: (_percent(group.topic, seed), group.topic, group.split)):
        for hospital, pairs in group.hospitals.items():
            counts[hospital][group.split] += pairs
            groups_of[hospital].append(group)
    for needed, donors in ((TRAIN, (TEST, VALIDATION)), (VALIDATION, (TRAIN, TEST))):
        for hospital in sorted(counts):
            if counts[hospital][needed] == 0:
                _move(hospital, needed, donors, groups_of[hospital], counts)


def _move(hospital: str, needed: str, donors: tuple[str, ...], groups: list[_Group], counts: dict[str, Counter[str]]) -> None:
    for donor in donors:
        for group in groups:
            if group.split == donor and (donor == TEST or _can_spare(group, counts)):
                for owner, pairs in group.hospitals.items():
                    counts[owner][donor] -= pairs
                    counts[owner][needed] += pairs
                group.split = needed
                return
    raise DataError(
        f"it has too few topics to have both training and {VALIDATION} pairs.",
        where=f"hospital {hospital}",
        hint="Give it more pairs, or share the pairs out among fewer hospitals.",
    )


def _can_spare(group: _Group, counts: dict[str, Counter[str]]) -> bool:
    return all(counts[owner][group.split] > pairs for owner, pairs in group.hospitals.items())


def _percent(topic: str, seed: int) -> int:
    salted = f"split:{seed}:{topic.lower()}" if seed else f"split:{topic.lower()}"
    return int(hashlib.sha256(salted.encode()).hexdigest()[:8], 16) % 100
