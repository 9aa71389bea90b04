"""A hospital's answers over NVFlare as the transport's results, believed only as far as their types go."""

from __future__ import annotations

import msgspec

from engine.errors import ProtocolError
from engine.federated.flare import wire
from engine.federated.flare.channel import Answer, News
from engine.federated.flare.policy import Rule
from engine.federated.update import Evaluation, Lost, Update, Verdict, broken
from engine.protocol import StepDone, TrainingStarted, decode_event

REFUSALS: dict[Rule, str] = {
    "run": "its policy does not accept this run",
    "aggregation": "its policy does not accept this aggregator",
    "pairs": "it holds fewer pairs than its policy asks for",
    "steps": "its policy allows fewer local steps",
    "base model": "its policy allows another base model only",
    "hub model": "its policy lets no run have this base model fetched: name it there, or start the hospital with --model",
    "quantization": "its policy allows another precision only",
    "adapter": "its policy does not let other hospitals see its adapter",
    "tokenizer": "its policy allows another tokenizer only",
    "protocol": "it speaks another protocol version: use the same fedmed-tui on both sides",
    "not joined": "it has not joined the run",
    "report": "its policy does not let it report this",
}


def header(answer: Answer) -> wire.Header | None:
    """The message's kind and scalars; None where there is none."""
    return _opened(answer)[0] if not answer.fault else None


def _opened(answer: Answer) -> tuple[wire.Header | None, wire.Groups]:
    """What is in an answer; nothing where it is none of the protocol's."""
    try:
        return wire.unpack(answer.payload, where=answer.site) if not answer.fault else (None, {})
    except ProtocolError:
        return None, {}


def lost(answer: Answer, header: wire.Header | None) -> Lost:
    """Why an answer is not what was asked for: names from closed lists, and sentences of this file."""
    if answer.fault:
        return Lost(answer.site, answer.fault, answer.reason)
    if isinstance(header, wire.Refused):
        return Lost(answer.site, "refused", REFUSALS[header.rule])
    if isinstance(header, wire.Missing):
        return Lost(answer.site, "gone", "its engine was restarted")
    if isinstance(header, wire.Broken):
        return broken(answer.site, header.cause, header.name)
    return Lost(answer.site, "damaged", "its answer is none of this protocol")


def update(answer: Answer) -> Update | Lost:
    """The answer to `wire.Train`."""
    header, groups = _opened(answer)
    if not isinstance(header, wire.Trained):
        return lost(answer, header)
    return Update(
        hospital=answer.site,
        adapter=groups.get("adapter", {}),
        pairs=header.pairs,
        steps=header.steps,
        loss=header.loss,
        variance=header.variance,
        tokens=header.tokens,
        seconds=header.seconds,
        round=header.round,
        gradient=groups.get("gradient", {}),
    )


def evaluation(answer: Answer) -> Evaluation | Lost:
    """The answer to `wire.Evaluate`."""
    header, _ = _opened(answer)
    if not isinstance(header, wire.Measured):
        return lost(answer, header)
    return Evaluation(answer.site, header.loss, header.pairs, header.tokens)


def verdict(answer: Answer) -> Verdict | Lost:
    """The answer to `wire.Assess`."""
    header, _ = _opened(answer)
    if not isinstance(header, wire.Judged):
        return lost(answer, header)
    return Verdict(voter=answer.site, **msgspec.structs.asdict(header))


def progress(news: News, number: int) -> TrainingStarted | StepDone | None:
    """A hospital's progress, where it speaks of itself and of this round."""
    try:
        event = decode_event(news.payload).event
    except ProtocolError:
        return None
    if isinstance(event, TrainingStarted | StepDone) and event.hospital == news.site and event.round == number:
        return event
    return None
