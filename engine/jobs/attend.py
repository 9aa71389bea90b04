"""A call of the federation as a job of the hospital's own engine: message file in, answer file out."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path

import msgspec

from engine.errors import ProtocolError, log_unexpected
from engine.federated.flare import wire
from engine.federated.flare.kits import partition_folder
from engine.federated.flare.policy import PolicyError, read_policy
from engine.federated.flare.worker import Answering, Attending, tokenizer_digest
from engine.federated.hospital import Hospital
from engine.federated.update import cause_of, plain_name
from engine.files import write_atomically
from engine.jobs.context import Engine
from engine.jobs.model import ensure_bank
from engine.model.adapters import digest_of
from engine.model.base import hub_model
from engine.protocol import AnyEvent, Attend
from engine.scheduler import Cancelled, Job

Joining = Generator[AnyEvent | None, None, Attending]


def attend(engine: Engine, command: Attend) -> Job:
    """Answer one call. What goes wrong is answered too, by its kind and nothing else; the details stay in this engine's log."""
    try:
        answer = yield from _answer(engine, command)
    except PolicyError as refusal:
        print(refusal, file=sys.stderr)
        answer = wire.pack(wire.Refused(rule=refusal.rule))
    except (Cancelled, GeneratorExit):
        raise
    except Exception as error:
        log_unexpected(error)
        answer = wire.pack(wire.Broken(name=plain_name(type(error).__name__), cause=cause_of(error)))
    write_atomically(Path(command.answer), answer)


def _answer(engine: Engine, command: Attend) -> Answering:
    data = Path(command.request).read_bytes()
    if command.method == "join":
        spoken = wire.version_of(data)
        if spoken not in (None, wire.WIRE_VERSION):
            said = f"The coordinator speaks version {spoken} of the protocol, this hospital {wire.WIRE_VERSION}."
            print(f"{said} Use the same fedmed-tui on both sides.", file=sys.stderr)
            return wire.pack(wire.Refused(rule="protocol"))
        header, _ = wire.unpack(data, where="join")
        if not isinstance(header, wire.Join):
            raise ProtocolError("is no invitation.", where=type(header).__name__)
        engine.attending = yield from _join(engine, command, header)
        return wire.pack(engine.attending.joined)
    if engine.attending is None:
        raise PolicyError("not joined")
    return (yield from engine.attending.answer(data))


def _join(engine: Engine, command: Attend, asked: wire.Join) -> Joining:
    policy = read_policy(Path(command.kit))
    policy.check_run(asked.run, asked.config)
    config = asked.config
    if own := os.environ.get("FEDMED_HOSPITAL_MODEL"):
        config = msgspec.structs.replace(config, model=msgspec.structs.replace(config.model, source=own))
    elif named := hub_model(config.model):
        policy.check_fetch(named)
    hospital = Hospital(command.hospital, partition_folder(Path(command.data), command.hospital), config)
    bank = yield from ensure_bank(engine, command.job, config.model, config.lora)
    hospital.attach(bank)
    start = bank.initial(config.seed)
    assert engine.loaded is not None
    joined = wire.Joined(
        info=hospital.info,
        digest=engine.loaded.digest,
        quantization=engine.loaded.quantization,
        tokenizer=tokenizer_digest(bank),
        wire=wire.WIRE_VERSION,
        start=digest_of(start),
    )
    policy.check_join(joined, hospital.steps_per_round)
    return Attending(hospital, bank, policy, joined, {"given": (joined.start, start)})
