"""A small classifier for harmful requests that no rule names: falsified charts, care denied to the poor, consent forgone.

A linear model on which words and word pairs a request holds, hashed into a few thousand weights (`data/intent.f32`: little-endian
fp32, the bias last). `benchmarks/train_intent.py` made it, from the training part of MedSafetyBench against ordinary medical
questions and harmless requests put in the same manner. It reads text only and needs no tensor library.
"""

from __future__ import annotations

import re
import sys
import zlib
from array import array
from functools import cache
from itertools import pairwise
from math import sqrt
from pathlib import Path

from engine.safety.text import plain

WEIGHTS = Path(__file__).parent / "data" / "intent.f32"
THRESHOLD = 0.5
"""Requests above it are refused: above 0 harm is likelier than not, and a wrong refusal is also a harm."""

_WORD = re.compile(r"[a-z]+")


def harmfulness(request: str) -> float:
    """Log odds that a request is harmful."""
    weights = _weights()
    places = features(request, len(weights) - 1)
    return sum(weights[place] for place in places) / sqrt(max(1, len(places))) + weights[-1]


def features(request: str, size: int) -> set[int]:
    """Which of `size` weights count for a text: one for each word and each pair of neighbours."""
    words = _WORD.findall(plain(request))
    return {zlib.crc32(part.encode()) % size for part in (*words, *map(" ".join, pairwise(words)))}


@cache
def _weights() -> array[float]:
    weights = array("f")
    weights.frombytes(WEIGHTS.read_bytes())
    if sys.byteorder == "big":
        weights.byteswap()
    return weights
