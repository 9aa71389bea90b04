"""What the splits of imported pairs leave out, in a sentence."""

from __future__ import annotations

from collections.abc import Iterable

from engine.protocol import PartitionDescribed

NAMED = 4
"""Hospitals that the sentence names at most."""


def untested(partitions: Iterable[PartitionDescribed]) -> str:
    """Which hospitals hold no test pairs and what that costs them; empty when each has some."""
    names = [one.hospital for one in partitions if not one.test]
    if not names:
        return ""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"No test pairs at {', '.join(names[:NAMED])}{more}: the benchmark on test pairs goes without."
