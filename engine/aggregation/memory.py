"""What the aggregator carries from round to round, and across a resume."""

from __future__ import annotations

import msgspec


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Plain numbers, so that a checkpoint holds them exactly. Tensors (server optimizer, scaffold) lie beside it."""

    evidence: dict[str, tuple[float, float]] = {}
    """By candidate name, the pooled relative gain over sample weights and its precision (1 / error²)."""
    last: dict[str, float] = {}
    """The last round's weights."""
    faults: dict[str, tuple[int, ...]] = {}
    """By hospital, rounds in which it was gated or suspect."""
