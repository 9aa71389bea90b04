"""The one round loop, whatever the transport.

A round: hospitals train from the global adapter → updates → evaluation of each update at home → aggregation → evaluation of the
new global adapter everywhere, also where nobody trained → checkpoint. The loop is a generator of events; None means that a
micro-step was done and that something else may run before the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

import msgspec

from engine.aggregation.aggregator import Aggregation, Aggregator, Round
from engine.aggregation.assignment import assignment, controls
from engine.aggregation.memory import Memory
from engine.aggregation.narrator import retell
from engine.federated.checkpoint import RoundState, RunFolder, settings_hash
from engine.federated.collect import Roster, collect_evaluations, collect_updates, fingerprints, told
from engine.federated.participation import drawn
from engine.federated.spool import Spool
from engine.federated.transport import Transport
from engine.federated.update import Assignment, Evaluation, Update
from engine.manifest import Manifest
from engine.model.adapters import Adapter, AdapterBank, digest_of, size_of
from engine.protocol import (
    GLOBAL,
    Aggregated,
    AnyEvent,
    Evaluated,
    RoundFinished,
    RoundStarted,
    Stage,
    TrafficCounted,
    UpdateReceived,
)

Rounds = Generator[AnyEvent | None, None, None]


@dataclass
class Position:
    """Where a run stands between two rounds."""

    adapter: Adapter
    completed: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    """By hospital, the validation loss with this adapter; empty when it was never measured."""
    fingerprints: dict[str, str] = field(default_factory=dict)
    """Of the last round's updates, by hospital."""
    seconds: float = 0.0
    memory: Memory = field(default_factory=Memory)
    """What the aggregator remembers."""
    carried: dict[str, Adapter] = field(default_factory=dict)
    """Tensors that it remembers: the server optimizer's moments, scaffold's control variates."""


class Coordinator:
    """Runs rounds over a transport and keeps the run folder up to date."""

    def __init__(
        self,
        transport: Transport,
        bank: AdapterBank,
        folder: RunFolder,
        manifest: Manifest,
        position: Position,
        aggregator: Aggregator,
        count_traffic: Callable[[int], TrafficCounted] | None = None,
    ) -> None:
        """`count_traffic` says what has crossed in a round so far."""
        self._transport = transport
        self._bank = bank
        self._folder = folder
        self._spool = Spool(folder.path)
        self._manifest = manifest
        self._config = manifest.config
        self._aggregator = aggregator
        self._count_traffic = count_traffic
        self.hospitals = transport.hospitals()
        self.position = position

    @property
    def _names(self) -> list[str]:
        return [hospital.name for hospital in self.hospitals]

    def rounds(self) -> Rounds:
        """Every round that is still to do. Raises RunError when the disk refuses a checkpoint."""
        if not self.position.losses:
            yield from self._evaluate_base()
        try:
            for number in range(self.position.completed + 1, self._config.training.rounds + 1):
                yield from self._round(number)
        finally:
            self._spool.clear()

    def _evaluate_base(self) -> Rounds:
        yield RoundStarted(round=0, rounds=self._config.training.rounds)
        same = dict.fromkeys(self._names, self.position.adapter)
        self.position.losses = yield from self._evaluate(0, same, "base")

    def _round(self, number: int) -> Rounds:
        started, rounds, position = time.monotonic(), self._config.training.rounds, self.position
        asked = drawn(self._config, number, self._names)
        yield RoundStarted(round=number, rounds=rounds, drawn=asked if len(asked) < len(self._names) else ())
        task = assignment(self._config, number, position.adapter, position.carried, self._bank.initial)
        task = replace(task, hospitals=asked)
        given = yield from self._collect(task)
        yield from self._evaluate(number, {update.hospital: update.adapter for update in given.updates}, "local")
        result = yield from self._aggregator.aggregate(given, position.memory, position.carried)
        for lost in result.lost:
            yield told(lost, number, "judging")
        yield from self._told(result.event)
        losses = yield from self._evaluate(number, dict.fromkeys(self._names, result.adapter), "global")
        if self._count_traffic is not None:
            yield self._count_traffic(number)
        seconds = time.monotonic() - started
        before, after = _means(position.losses, losses)
        finished = RoundFinished(round=number, rounds=rounds, before=before, after=after, seconds=seconds)
        reached = Position(
            adapter=result.adapter,
            completed=number,
            losses=losses,
            fingerprints=fingerprints(given),
            seconds=position.seconds + seconds,
            memory=result.memory,
            carried=result.moments | controls(given.updates, position.carried),
        )
        self._save(reached, given, result, finished)
        yield finished

    def _told(self, event: Aggregated) -> Rounds:
        """The decision, retold by the base model where that is asked for."""
        if self._config.aggregation.narrator:
            event = msgspec.structs.replace(event, narration=(yield from retell(self._bank, event.reasons)))
        yield event

    def _collect(self, task: Assignment) -> Generator[AnyEvent | None, None, Round]:
        """Every update that can be used. They lie in the run's folder, where a chat finds them at once."""
        work = collect_updates(self._transport, task, self._roster(task.hospitals), self._keep)
        while True:
            try:
                item = next(work)
            except StopIteration as end:
                given: Round = end.value
                return given
            yield _received(item, task) if isinstance(item, Update) else item

    def _keep(self, update: Update) -> Update:
        self._folder.require()
        return self._spool.keep(update)

    def _evaluate(
        self, number: int, adapters: Mapping[str, Adapter], stage: Stage
    ) -> Generator[AnyEvent | None, None, dict[str, float]]:
        """Evaluate everywhere; returns the loss by hospital. Raises Paused when too few answer for all of them."""
        losses = dict[str, float]()
        work = collect_evaluations(self._transport, adapters, number)
        while True:
            try:
                item = next(work)
            except StopIteration as end:
                if stage != "local":
                    self._roster(self._names).require(number, end.value)
                return dict(sorted(losses.items()))
            if isinstance(item, Evaluation):
                losses[item.hospital] = item.loss
                yield Evaluated(
                    round=number, hospital=item.hospital, stage=stage, loss=item.loss, pairs=item.pairs, tokens=item.tokens
                )
            else:
                yield item

    def _roster(self, names: Sequence[str]) -> Roster:
        return Roster(names, self._config.federation.needed(len(names)), self.position.fingerprints)

    def _save(self, position: Position, given: Round, result: Aggregation, finished: RoundFinished) -> None:
        self._folder.require()
        for update in given.updates:
            self._bank.save(update.adapter, self._folder.adapter_folder(update.hospital))
        self._bank.save(position.adapter, self._folder.adapter_folder(GLOBAL))
        state = RoundState(
            round=position.completed,
            sha256=digest_of(position.adapter),
            settings_hash=settings_hash(self._config),
            settings=msgspec.to_builtins(self._config),
            finished=finished,
            seconds=position.seconds,
            weights=result.weights,
            losses=position.losses,
            fingerprints=position.fingerprints,
            memory=position.memory,
        )
        self._folder.save_round(position.adapter, state, position.carried)
        self.position = position
        self._manifest.completed = position.completed
        self._folder.write_manifest(self._manifest)
        self._spool.clear()


def _means(before: Mapping[str, float], after: Mapping[str, float]) -> tuple[float, float]:
    """Mean loss over the hospitals that were asked both times, so that nobody's absence looks like progress."""
    both = [name for name in after if name in before]
    if not both:
        return fmean(before.values()), fmean(after.values())
    return fmean(before[name] for name in both), fmean(after[name] for name in both)


def _received(update: Update, task: Assignment) -> UpdateReceived:
    return UpdateReceived(
        round=task.round,
        hospital=update.hospital,
        pairs=update.pairs,
        steps=update.steps,
        loss=update.loss,
        variance=update.variance,
        bytes=_sent_bytes(update, task),
        tokens=update.tokens,
        seconds=update.seconds,
    )


def _sent_bytes(update: Update, task: Assignment) -> int:
    """What has to travel: the factors that were trained, without the frozen directions, and scaffold's gradient."""
    total = size_of(update.gradient)
    for name, tensor in update.adapter.items():
        is_a = ".lora_A." in name
        if ("A" if is_a else "B") in task.trains:
            total += size_of({name: tensor[task.held :] if is_a else tensor[:, task.held :]})
    return total
