"""What every message between the two processes is: a command going down, or an event coming back."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Moment = Annotated[float, Meta(ge=0, le=1e11)]
"""Unix time, up to the year 5138: what a calendar can show."""
Count = Annotated[int, Meta(ge=0, le=10**12)]
"""Of anything in a record: rounds, steps, pairs, tokens, bytes."""
Round = Annotated[int, Meta(ge=0, le=10_000)]
"""Number of a round; 0 is before the first. No run has more (`training.rounds`), and a chart draws every one."""
Share = Annotated[float, Meta(ge=-100, le=100)]
"""Of one adapter in another: their sum is 1 or near it, and charts draw from 0 to 1."""
Figure = Annotated[float, Meta(ge=-1e12, le=1e12)]
"""Anything measured in a record: what can be summed, compared and drawn."""


class Command(Struct, frozen=True, kw_only=True, tag=True, tag_field="type"):
    """A request to the engine. `job` names the work it starts, so that it can be followed and cancelled."""


class Event(Struct, frozen=True, kw_only=True, tag=True, tag_field="type"):
    """A fact the engine states."""
