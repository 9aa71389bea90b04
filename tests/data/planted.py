"""Pairs of texts whose similarity is known because it was made: for the tests and the benchmark of the overlap check."""

from __future__ import annotations

import random
from dataclasses import dataclass

from engine.data.pairs import Pair
from engine.data.sketch import normalised, shingles

_STARTS, _MIDDLES, _ENDS = "b d f g k l m n p r s t v z", "a e i o u ou", "n r s l x th"
WORDS = [f"{start}{middle}{end}" for start in _STARTS.split() for middle in _MIDDLES.split() for end in _ENDS.split()]
"""Made-up words: two texts of them have nothing in common by chance that matters."""


@dataclass(frozen=True)
class Planted:
    """An original and an edited copy, and how alike they really are."""

    original: Pair
    copy: Pair
    similarity: float
    """Exact Jaccard similarity of their three-word runs."""


def plant(count: int, lowest: float, highest: float, seed: int) -> list[Planted]:
    """`count` copies whose similarities are spread evenly over [lowest, highest)."""
    stream = random.Random(seed)
    return [_plant_one(stream, number, lowest + (highest - lowest) * number / count, seed) for number in range(count)]


def bystanders(count: int, hospital: str, seed: int) -> list[Pair]:
    """Pairs that nobody copied."""
    stream = random.Random(seed)
    return [_pair(f"{hospital}-{seed}-{number}", _text(stream, stream.randint(40, 200)), hospital) for number in range(count)]


def _plant_one(stream: random.Random, number: int, wanted: float, seed: int) -> Planted:
    """Replace single words, anywhere, until the copy is as unlike as wanted."""
    words = _text(stream, stream.randint(60, 200))
    original, copy = _pair(f"A-{seed}-{number}", words, "A"), _pair(f"B-{seed}-{number}", words, "B")
    edited = list(words)
    similarity = 1.0
    while similarity > wanted + 0.02:
        edited[stream.randrange(len(edited))] = stream.choice(WORDS)
        copy = _pair(f"B-{seed}-{number}", edited, "B")
        similarity = jaccard(original, copy)
    return Planted(original, copy, similarity)


def jaccard(one: Pair, other: Pair) -> float:
    """The exact similarity that the signatures estimate."""
    first, second = shingles(normalised(one)), shingles(normalised(other))
    return len(first & second) / len(first | second)


def _text(stream: random.Random, length: int) -> list[str]:
    return [stream.choice(WORDS) for _ in range(length)]


def _pair(name: str, words: list[str], hospital: str) -> Pair:
    return Pair(
        id=name, question=" ".join(words[:8]), answer=" ".join(words[8:]), topic=name, kind="", hospital=hospital, split="train"
    )
