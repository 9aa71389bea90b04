"""Events as sentences for the activity feed and for plain output. Pure text: never markup."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

from engine.protocol import (
    Aggregated,
    AnyEvent,
    Evaluated,
    Failure,
    FederationBroke,
    HospitalLost,
    ModelLoaded,
    RoundFinished,
    RoundSetAside,
    RoundStarted,
    RunFinished,
    RunStarted,
    TrafficCounted,
    UpdateReceived,
)
from fedmed_tui.units import duration, size

NAMED = 8
"""Hospitals that a sentence names at most."""


@dataclass(frozen=True)
class FeedLine:
    """One sentence and when it happened (Unix time)."""

    time: float
    text: str


@singledispatch
def sentence(event: AnyEvent) -> str:
    """The event in one or two sentences; empty when it is not worth a line."""
    return ""


@sentence.register
def _(event: ModelLoaded) -> str:
    return f"Loaded {event.name} ({event.quantization}) on {event.device} in {duration(event.seconds)}."


@sentence.register
def _(event: RunStarted) -> str:
    pairs = ", ".join(f"{hospital.name} {hospital.train:,}" for hospital in event.hospitals)
    if event.completed:
        return f"Run {event.run} goes on after round {event.completed}. Training pairs: {pairs}."
    return f"Run {event.run} starts. Training pairs: {pairs}."


@sentence.register
def _(event: RoundStarted) -> str:
    if event.round == 0:
        return "Evaluating the base model at every hospital, to have something to compare with."
    begins = f"Round {event.round} of {event.rounds}:"
    if not event.drawn:
        return f"{begins} every hospital trains from the same global adapter."
    named = ", ".join(event.drawn[:NAMED]) + (f" and {len(event.drawn) - NAMED:,} more" if len(event.drawn) > NAMED else "")
    verb = "trains" if len(event.drawn) == 1 else "train"
    return f"{begins} {named} {verb} from the same global adapter; the other hospitals rest."


@sentence.register
def _(event: UpdateReceived) -> str:
    return (
        f"{event.hospital} returned its update ({size(event.bytes)}) after {event.steps} steps, "
        f"training loss {event.loss:.3f}, in {duration(event.seconds)}."
    )


@sentence.register
def _(event: HospitalLost) -> str:
    if event.during == "training":
        return f"{event.hospital} is left out of round {event.round}: {event.reason}."
    if event.during == "joining":
        return f"{event.hospital} cannot begin: {event.reason}."
    what = "the evaluation" if event.during == "evaluation" else "judging the candidates"
    return f"{event.hospital} took no part in {what} of round {event.round}: {event.reason}."


@sentence.register
def _(event: FederationBroke) -> str:
    return (
        "The federation's job broke: a process of it died, or its server. A new one is submitted with whoever is connected, and "
        "who had not answered is asked again."
    )


@sentence.register
def _(event: RoundSetAside) -> str:
    return f"Round {event.round} was damaged ({event.reason}) and is set aside as {event.name}; it is done again."


@sentence.register
def _(event: Evaluated) -> str:
    whose = {"base": "The base model", "local": "Its own adapter", "global": "The global adapter"}[event.stage]
    return f"{whose} has validation loss {event.loss:.3f} at {event.hospital} ({event.pairs} pairs)."


@sentence.register
def _(event: Aggregated) -> str:
    shares = ", ".join(f"{weight.hospital} {weight.weight:.2f}" for weight in event.weights)
    return f"Round {event.round} aggregated: {shares}. {event.reason}"


@sentence.register
def _(event: TrafficCounted) -> str:
    if not event.carrying:
        return ""  # in one process there is no way to go
    down, up = (sum(row.bytes for row in event.rows if row.direction == way) for way in ("down", "up"))
    return f"{size(down)} went to the hospitals and {size(up)} came back; {duration(event.carrying)} of the round went into that."


@sentence.register
def _(event: RoundFinished) -> str:
    return (
        f"Round {event.round} closed in {duration(event.seconds)}: validation loss {event.before:.3f} → {event.after:.3f} "
        "(mean over hospitals). Checkpoint saved."
    )


@sentence.register
def _(event: RunFinished) -> str:
    ends = {
        "done": f"Run {event.run} finished, {event.completed} of {event.rounds} rounds. Adapters are in {event.folder}.",
        "cancelled": f"Run {event.run} stopped after {event.completed} of {event.rounds} rounds; it can be resumed.",
        "paused": f"Run {event.run} paused after {event.completed} of {event.rounds} rounds, short of hospitals; resume it.",
        "failed": f"Run {event.run} failed after {event.completed} of {event.rounds} rounds; it can be resumed.",
    }
    return ends[event.outcome]


@sentence.register
def _(event: Failure) -> str:
    return f"{event.title}: {event.message} {event.hint}".strip()
