"""Who trains in a round: everybody, or a part of the hospitals that is drawn anew for each round."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from engine.settings import RunConfig


def drawn(config: RunConfig, number: int, names: Sequence[str]) -> tuple[str, ...]:
    """The hospitals that train in a round, sorted.

    Each name gets a lot from seed, round and name alone, so that a resumed run draws the same; the smallest lots take part.
    """
    lots = sorted(names, key=lambda name: hashlib.sha256(f"{config.seed}/{number}/{name}".encode()).digest())
    return tuple(sorted(lots[: config.federation.asked(len(names))]))
