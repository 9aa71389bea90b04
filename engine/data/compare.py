"""How different hospitals are: their topics, the length of their answers, their words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isnan, log2
from pathlib import Path

import numpy as np
from scipy.spatial.distance import jensenshannon

from engine.data.pairs import Pair, topic_counts
from engine.data.partition import list_hospitals, read_partition
from engine.protocol import HospitalCharacter, HospitalsCompared, Progress

LARGEST = 30
"""Hospitals in the matrices: more do not fit a screen."""
PERCENTILES = (5, 25, 50, 75, 95)
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class _Hospital:
    character: HospitalCharacter
    topics: Counter[str]
    words: frozenset[str]


def compare(job: str, folder: Path) -> Generator[Progress | HospitalsCompared | None, None, None]:
    """Measure every hospital of a folder, then each against each. Raises DataError as reading a partition does."""
    names = list_hospitals(folder)
    measured = []
    for done, name in enumerate(names, start=1):
        measured.append(_measure(read_partition(folder, name)))
        yield Progress(job=job, what="comparing hospitals", done=done, total=len(names))
    largest = sorted(measured, key=lambda one: -one.character.pairs)[:LARGEST]
    shown = sorted(largest, key=lambda one: one.character.hospital)
    with_topics = any(one.topics for one in measured)
    yield HospitalsCompared(
        job=job,
        folder=str(folder),
        hospitals=tuple(one.character for one in shown),
        topic_distance=topic_distances([one.topics for one in shown]) if with_topics else (),
        vocabulary_overlap=tuple(tuple(_jaccard(one.words, other.words) for other in shown) for one in shown),
        total_hospitals=len(names),
        topic_divergence=topic_divergence([one.topics for one in measured]) if with_topics else None,
    )


def topic_distances(topics: Sequence[Mapping[str, int]]) -> tuple[tuple[float, ...], ...]:
    """Jensen-Shannon distance, base 2, between the topic distributions of each two hospitals."""
    names = {name: at for at, name in enumerate(sorted(set(chain.from_iterable(topics))))}
    counts = np.zeros((len(topics), len(names)))  # (hospitals, topics)
    for row, own in enumerate(topics):
        for name, pairs in own.items():
            counts[row, names[name]] = pairs
    return tuple(tuple(_distance(one, other) for other in counts) for one in counts)


def topic_divergence(topics: Sequence[Mapping[str, int]]) -> float:
    """How much a pair's topic says about its hospital: I(topic; hospital) / H(hospital), 0 nothing to 1 everything.

    That is the generalized Jensen-Shannon divergence of the hospitals, weighted by pairs (Lin 1991), over its largest value.
    At least one hospital has a topic.
    """
    sizes = [sum(own.values()) for own in topics]
    pooled: Counter[str] = Counter()
    for own in topics:
        pooled.update(own)
    total = sum(sizes)
    largest = _entropy(sizes)
    within = sum(size / total * _entropy(own.values()) for size, own in zip(sizes, topics, strict=True))
    return max(0.0, min(1.0, (_entropy(pooled.values()) - within) / largest)) if largest > 0 else 0.0


def _measure(pairs: list[Pair]) -> _Hospital:
    topics = Counter({topic.lower(): count for topic, count in topic_counts(pairs).items()})
    words = frozenset(WORD.findall(" ".join(f"{pair.question} {pair.answer}" for pair in pairs).lower()))
    low, quarter, middle, three_quarters, high = np.percentile([len(pair.answer.split()) for pair in pairs], PERCENTILES)
    character = HospitalCharacter(
        hospital=pairs[0].hospital,
        pairs=len(pairs),
        topics=len(topics),
        vocabulary=len(words),
        answer_words=(round(low), round(quarter), round(middle), round(three_quarters), round(high)),
    )
    return _Hospital(character, topics, words)


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    if not one.any() or not other.any():
        return float(one.any() != other.any())
    distance = float(jensenshannon(one, other, base=2))
    return 0.0 if isnan(distance) else round(distance, 6)  # rounding errors below 0 give the library nan for equal ones


def _entropy(counts: Iterable[int]) -> float:
    values = [count for count in counts if count > 0]
    total = sum(values)
    return -sum(value / total * log2(value / total) for value in values)


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return round(len(one & other) / len(one | other), 6) if one | other else 1.0
