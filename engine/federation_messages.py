"""What the screen and the engine say about federations: make one, start and stop its server, see who is there."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from engine.messages import Command, Event

DEFAULT_PORT = 8002
Action = Literal["start", "stop"]


class CreateFederation(Command, frozen=True, kw_only=True):
    """Make certificates and one kit per participant."""

    job: str
    name: str
    server: str
    """Host name or address under which hospitals reach this computer."""
    hospitals: tuple[str, ...]
    port: Annotated[int, Meta(ge=1, le=65535)] = DEFAULT_PORT


class ServeFederation(Command, frozen=True, kw_only=True):
    """Start or stop the federation's server on this computer."""

    job: str
    name: str
    action: Action


class DescribeFederation(Command, frozen=True, kw_only=True):
    """Who is connected, and what runs."""

    job: str
    name: str


class Kit(Struct, frozen=True, kw_only=True):
    """A folder that belongs to one participant."""

    participant: str
    folder: str


class FederationCreated(Event, frozen=True, kw_only=True):
    """Certificates and kits are made."""

    job: str
    name: str
    server: str
    port: int
    folder: str
    kits: tuple[Kit, ...]
    """Of the hospitals: each is to be moved to its hospital's machine, and to nobody else."""


class FederationDescribed(Event, frozen=True, kw_only=True):
    """A federation now."""

    job: str
    name: str
    server: str
    port: int
    up: bool
    """Its server answers."""
    hospitals: tuple[str, ...]
    connected: tuple[str, ...]
    running: tuple[str, ...]
    """Runs in progress."""


class FederationBroke(Event, frozen=True, kw_only=True):
    """NVFlare's job of the run in progress broke. A new one is submitted; who had not answered is asked again, once."""
