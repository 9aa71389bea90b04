"""What every message between the two processes is: a command going down, or an event coming back."""

from __future__ import annotations

from msgspec import Struct


class Command(Struct, frozen=True, kw_only=True, tag=True, tag_field="type"):
    """A request to the engine. `job` names the work it starts, so that it can be followed and cancelled."""


class Event(Struct, frozen=True, kw_only=True, tag=True, tag_field="type"):
    """A fact the engine states."""
