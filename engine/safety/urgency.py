"""A second opinion on emergencies that no rule names: how urgent the words of a message are, taken together.

Each word has one weight (`data/urgency.txt`, the word `*` holds the bias). The weights were learned on the base model's word
embeddings (`benchmarks/train_urgency.py`), so that a word nobody wrote a rule or an example for weighs as much as the words it
resembles. Whatever only tells of the past, of fiction or of general knowledge is left out first. Needs no tensor library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from math import sqrt
from pathlib import Path

WEIGHTS = Path(__file__).parent / "data" / "urgency.txt"
BIAS = "*"
THRESHOLD = 0.7
"""Messages above it are treated as emergencies; chosen where it costs few false alarms on everyday complaints."""

_WORD = re.compile(r"[a-z]+")


def urgency(sentences: Iterable[str]) -> float:
    """Log odds that plain sentences tell of an emergency."""
    weights = _weights()
    known = [weights[word] for word in words(sentences) if word in weights]
    return sum(known) / sqrt(max(1, len(known))) + weights[BIAS]


def words(sentences: Iterable[str]) -> set[str]:
    """The different words of plain sentences."""
    return {word for sentence in sentences for word in _WORD.findall(sentence)}


@cache
def _weights() -> dict[str, float]:
    lines = WEIGHTS.read_text(encoding="utf-8").splitlines()
    return {word: float(weight) for word, weight in (line.split() for line in lines)}
