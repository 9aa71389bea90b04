"""A run as a job: check, load, train round after round, record every event. Stopped or failed, it stays resumable."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from engine import locations
from engine.aggregation.aggregator import Aggregator
from engine.data.partition import list_hospitals
from engine.errors import RunError
from engine.federated.checkpoint import Checkpoint, RunFolder, changed_settings, settings_hash
from engine.federated.collect import Paused, told
from engine.federated.coordinator import Coordinator, Position
from engine.federated.event_log import EventLog
from engine.federated.hospital import Hospital
from engine.federated.transport import InProcess, NotReady, Transport
from engine.jobs.context import Engine
from engine.jobs.model import ensure_bank, model_held
from engine.jobs.reach import Reach, known, reach
from engine.manifest import Manifest, read_manifest
from engine.model.adapters import AdapterBank
from engine.privacy.ledger import Ledgered
from engine.protocol import (
    DROPPABLE,
    RECORDED,
    AnyEvent,
    Ending,
    ModelLoaded,
    ResumeRun,
    RoundSetAside,
    RunFinished,
    RunStarted,
    StartRun,
    TrafficCounted,
)
from engine.scheduler import Cancelled, Job
from engine.settings import RunConfig
from engine.throttle import Throttle


def start_run(engine: Engine, command: StartRun) -> Job:
    """A new run, looked at by `check_start`. Raises RunError when another is in progress; DataError, ModelError."""
    hospitals = _hospitals(engine, command.run, command.config)
    yield None
    with model_held(engine, command.run):
        bank = yield from ensure_bank(engine, command.job, command.config.model, command.config.lora, command.run)
        with RunFolder(command.run) as folder:
            manifest = _new_manifest(bank, command.run, command.config, hospitals)
            folder.write_manifest(manifest)
            position = Position(adapter=bank.initial(command.config.seed))
            yield from _session(engine, command.job, _Session(bank, folder, manifest, hospitals, position))


def resume_run(engine: Engine, command: ResumeRun) -> Job:
    """Go on from the newest usable round, looked at by `check_resume`. Raises RunError when what it needs has changed."""
    path = locations.run_folder(command.run)
    manifest = _with_changes(read_manifest(path), command)
    hospitals = _hospitals(engine, command.run, manifest.config)
    yield None
    with model_held(engine, command.run), RunFolder(command.run) as folder:
        bank = yield from ensure_bank(engine, command.job, manifest.config.model, manifest.config.lora, command.run)
        _check_same(bank, manifest, hospitals)
        checkpoint, aside = folder.newest_round()
        position = _position(bank, manifest, checkpoint, where=str(path))
        manifest.completed, manifest.status = position.completed, "running"
        folder.write_manifest(manifest)
        yield from _session(engine, command.job, _Session(bank, folder, manifest, hospitals, position, checkpoint, aside))


@dataclass
class _Session:
    """One stretch of work on a run, from start or resume to its end."""

    bank: AdapterBank
    folder: RunFolder
    manifest: Manifest
    hospitals: Reach
    position: Position
    checkpoint: Checkpoint | None = None
    aside: list[RoundSetAside] = field(default_factory=list)
    """Damaged rounds that this stretch does again."""


def _session(engine: Engine, job: str, session: _Session) -> Job:
    """Reach the hospitals, and let go of them whatever happens."""
    try:
        try:
            transport = yield from session.hospitals.open(session.bank, job, session.manifest)
        except Exception as error:
            yield from _not_begun(session, error)
            raise
        yield from _rounds(engine, Ledgered(transport), session)
    finally:
        session.hospitals.close()


def _not_begun(session: _Session, error: Exception) -> Job:
    """Record who could not begin and why, so that the run can be listed, replayed and resumed like any other."""
    begun = RunStarted(
        run=session.manifest.run,
        config=session.manifest.config,
        hospitals=tuple(known(session.folder.path).values()),
        completed=session.position.completed,
    )
    lost = error.lost if isinstance(error, NotReady) else ()
    log = EventLog(session.folder.path / "events.jsonl")
    try:
        yield from _recorded(log, [begun, *(told(one, 0, "joining") for one in lost)])
        yield _finish(log, session.position, session, "cancelled" if isinstance(error, Cancelled) else "failed")
    finally:
        log.close()


def _rounds(engine: Engine, transport: Ledgered, session: _Session) -> Job:
    """Rounds, every event of them recorded before it is stated; RunFinished is the last."""
    assert engine.loaded is not None

    def traffic(number: int) -> TrafficCounted:
        return msgspec.structs.replace(transport.ledger.close(number), carrying=session.hospitals.carrying())

    aggregator = aggregator_for(session.manifest.config, transport, session.bank)
    coordinator = Coordinator(transport, session.bank, session.folder, session.manifest, session.position, aggregator, traffic)
    log = EventLog(session.folder.path / "events.jsonl")
    engine.live_run = session.manifest.run
    try:
        if session.checkpoint and log.finished_round < session.checkpoint.state.round:
            log.append(session.checkpoint.state.finished)  # killed between the checkpoint and its event
        yield from _recorded(log, _events(coordinator, session, engine.loaded))
    except Cancelled:
        yield _finish(log, coordinator.position, session, "cancelled")
        raise
    except Paused:
        yield _finish(log, coordinator.position, session, "paused")
        raise
    except Exception:
        yield _finish(log, coordinator.position, session, "failed")
        raise
    else:
        yield _finish(log, coordinator.position, session, "done")
    finally:
        engine.live_run = ""
        log.close()


def aggregator_for(config: RunConfig, hospitals: Transport, bank: AdapterBank) -> Aggregator:
    """The aggregator, judged by the hospitals or, where the settings say so, by the coordinator's public pairs."""
    if config.aggregation.trust != "coordinator":
        return Aggregator(config, hospitals)
    folder = locations.data_folder(config.aggregation.public_data)
    name = list_hospitals(folder)[0]
    public = Hospital(name, folder, config)
    public.attach(bank)
    return Aggregator(config, InProcess([public]), public=name)


def _events(coordinator: Coordinator, session: _Session, loaded: ModelLoaded) -> Job:
    yield RunStarted(
        run=session.manifest.run,
        config=session.manifest.config,
        hospitals=coordinator.hospitals,
        completed=coordinator.position.completed,
    )
    yield loaded
    yield from session.aside
    for event in coordinator.rounds():
        yield from session.hospitals.news()
        yield event


def _recorded(log: EventLog, events: Iterable[AnyEvent | None]) -> Job:
    """The same events; those that belong to a run are written to its log first."""
    throttle = Throttle()
    for event in events:
        if isinstance(event, RECORDED) and not (isinstance(event, DROPPABLE) and throttle.drops(event)):
            log.append(event)
        yield event


def _finish(log: EventLog, position: Position, session: _Session, outcome: Ending) -> RunFinished:
    """Note the outcome in manifest and log. What a full disk refuses was reported already; the run stays resumable."""
    finished = RunFinished(
        run=session.manifest.run,
        outcome=outcome,
        completed=position.completed,
        rounds=session.manifest.rounds,
        folder=str(session.folder.path),
        seconds=position.seconds,
    )
    with suppress(RunError):
        log.append(finished)  # first: a kill in between leaves a run that can be closed, not one that only says that it is
    with suppress(RunError):
        session.manifest.status = outcome
        session.folder.write_manifest(session.manifest)
    return finished


def _hospitals(engine: Engine, run: str, config: RunConfig) -> Reach:
    """Where the run's hospitals are, before the model is loaded: what is wrong with them shows at once."""
    if engine.holder:
        raise RunError(f"run {engine.holder} is in progress.", where=run, hint="Stop it first.")
    return reach(config)


def _new_manifest(bank: AdapterBank, run: str, config: RunConfig, hospitals: Reach) -> Manifest:
    return Manifest(
        run=run,
        config=config,
        hospitals=hospitals.names,
        created=time.time(),
        rounds=config.training.rounds,
        model_digest=bank.base.folder.digest,
        quantization=bank.base.quantization,
    )


def _with_changes(manifest: Manifest, command: ResumeRun) -> Manifest:
    """The manifest with what the command changes, or what somebody changed in the file."""
    training, model, federation = manifest.config.training, manifest.config.model, manifest.config.federation
    training = msgspec.structs.replace(training, rounds=command.rounds or training.rounds)
    model = msgspec.structs.replace(model, device=command.device or model.device)
    federation = msgspec.structs.replace(
        federation,
        quorum=federation.quorum if command.quorum is None else command.quorum,
        deadline_s=federation.deadline_s if command.deadline_s is None else command.deadline_s,
    )
    manifest.config = msgspec.structs.replace(manifest.config, training=training, model=model, federation=federation)
    manifest.rounds = training.rounds
    return manifest


def _check_same(bank: AdapterBank, manifest: Manifest, hospitals: Reach) -> None:
    """Refuse to go on with another model, precision or set of hospitals: the rounds would not belong together."""
    for what, then, now in (
        ("base model", manifest.model_digest, bank.base.folder.digest),
        ("quantization", manifest.quantization, bank.base.quantization),
        ("hospitals", ", ".join(manifest.hospitals), ", ".join(hospitals.names)),
    ):
        if then != now:
            raise RunError(f"it was begun with {what} {then}, now it is {now}.", where=manifest.run, hint="Start a new run.")


def _position(bank: AdapterBank, manifest: Manifest, checkpoint: Checkpoint | None, *, where: str) -> Position:
    if checkpoint is None:
        return Position(adapter=bank.initial(manifest.config.seed))
    state = checkpoint.state
    if state.settings_hash != settings_hash(manifest.config):
        changes = "; ".join(changed_settings(state.settings, manifest.config))
        hint = "Put manifest.json back, or start a new run."
        raise RunError(f"its settings were changed since its last round: {changes}.", where=where, hint=hint)
    bank.check(checkpoint.adapter, where=where)
    return Position(
        checkpoint.adapter,
        state.round,
        state.losses,
        state.fingerprints,
        state.seconds,
        memory=state.memory,
        carried=checkpoint.carried,
    )
