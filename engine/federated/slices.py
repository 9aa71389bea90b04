"""Two disjoint pools of a hospital's validation pairs: candidates are screened on one and tested on the other.

No topic is in both. Each round draws its pairs anew from both pools, so that a lucky pair does not decide twice. The partition's
test pairs are in neither.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from engine.data.pairs import Pair
from engine.data.splits import topic_key
from engine.federated.update import Slice


def pools(pairs: Sequence[Pair], seed: int) -> Mapping[Slice, Sequence[int]]:
    """Indices of the pairs in each pool, topic by topic in a seeded order, each topic to the pool that has fewer pairs."""
    topics: dict[str, list[int]] = defaultdict(list)
    for index, pair in enumerate(pairs):
        topics[topic_key(pair)].append(index)
    order = sorted(topics)
    random.Random(seed).shuffle(order)
    chosen: dict[Slice, list[int]] = {"test": [], "screen": []}
    for topic in order:
        smaller: Slice = "screen" if len(chosen["screen"]) < len(chosen["test"]) else "test"
        chosen[smaller] += topics[topic]
    return chosen


def draw(pool: Sequence[int], cost: Callable[[list[int]], int], pairs: int, tokens: int, seed: int) -> list[int]:
    """Up to `pairs` indices of the pool in a seeded order, as long as their `cost` in tokens is not above `tokens`."""
    order = list(pool)
    random.Random(seed).shuffle(order)
    drawn: list[int] = []
    for index in order[:pairs]:
        if cost([*drawn, index]) > tokens:
            break
        drawn.append(index)
    return drawn
