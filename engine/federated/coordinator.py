"""The one round loop, whatever the transport.

A round: every hospital trains from the global adapter → updates → evaluation of each update at home → aggregation → evaluation
of the new global adapter everywhere → checkpoint. The loop is a generator of events; None means that a micro-step was done and
that something else may run before the next.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from statistics import fmean

import msgspec

from engine.aggregation.aggregator import Aggregation, Aggregator, Round
from engine.aggregation.assignment import assignment, controls
from engine.aggregation.memory import Memory
from engine.aggregation.narrator import retell
from engine.errors import ModelError
from engine.federated.checkpoint import RoundState, RunFolder, settings_hash
from engine.federated.transport import Transport
from engine.federated.update import Assignment, Evaluation, Update
from engine.manifest import Manifest
from engine.model.adapters import Adapter, AdapterBank, size_of, slot, to_bytes
from engine.protocol import (
    GLOBAL,
    Aggregated,
    AnyEvent,
    Evaluated,
    RoundFinished,
    RoundStarted,
    Stage,
    UpdateReceived,
)

Rounds = Generator[AnyEvent | None, None, None]


@dataclass
class Position:
    """Where a run stands between two rounds."""

    adapter: Adapter
    completed: int = 0
    macro_loss: float | None = None
    """Mean over hospitals of the validation loss with this adapter; None when it was never measured."""
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
    ) -> None:
        self._transport = transport
        self._bank = bank
        self._folder = folder
        self._manifest = manifest
        self._config = manifest.config
        self._aggregator = aggregator
        self.hospitals = transport.hospitals()
        self.position = position

    @property
    def _names(self) -> list[str]:
        return [hospital.name for hospital in self.hospitals]

    def rounds(self) -> Rounds:
        """Every round that is still to do. Raises RunError when the disk refuses a checkpoint."""
        if self.position.macro_loss is None:
            yield from self._evaluate_base()
        for number in range(self.position.completed + 1, self._config.training.rounds + 1):
            yield from self._round(number)

    def _evaluate_base(self) -> Rounds:
        yield RoundStarted(round=0, rounds=self._config.training.rounds)
        same = dict.fromkeys(self._names, self.position.adapter)
        self.position.macro_loss = yield from self._evaluate(0, same, "base")

    def _round(self, number: int) -> Rounds:
        started, rounds, position = time.monotonic(), self._config.training.rounds, self.position
        yield RoundStarted(round=number, rounds=rounds)
        task = assignment(self._config, number, position.adapter, position.carried, self._bank.initial)
        given = yield from self._collect(task)
        usable = {update.hospital: update.adapter for update in given.updates if update.hospital not in given.unusable}
        yield from self._evaluate(number, usable, "local")
        result = yield from self._aggregator.aggregate(given, position.memory, position.carried)
        yield from self._told(result.event)
        after = yield from self._evaluate(number, dict.fromkeys(self._names, result.adapter), "global")
        seconds = time.monotonic() - started
        assert position.macro_loss is not None
        finished = RoundFinished(round=number, rounds=rounds, before=position.macro_loss, after=after, seconds=seconds)
        self.position = Position(
            adapter=result.adapter,
            completed=number,
            macro_loss=after,
            seconds=position.seconds + seconds,
            memory=result.memory,
            carried=result.moments | controls(given.updates),
        )
        self._save(usable, result, finished)
        yield finished

    def _told(self, event: Aggregated) -> Rounds:
        """The decision, retold by the base model where that is asked for."""
        if self._config.aggregation.narrator:
            event = msgspec.structs.replace(event, narration=(yield from retell(self._bank, event.reasons)))
        yield event

    def _collect(self, task: Assignment) -> Generator[AnyEvent | None, None, Round]:
        """Every hospital's update; those that do not fit the model or are not finite are set aside with the reason."""
        updates, unusable = [], {}
        for item in self._transport.train(task):
            if not isinstance(item, Update):
                yield item
                continue
            updates.append(item)
            try:
                self._bank.check(item.adapter, where=f"update of hospital {item.hospital}")
                self._bank.put(slot(item.hospital), item.adapter)  # so that its model can be chatted with at once
            except ModelError as error:
                unusable[item.hospital] = error.message.rstrip(".")
            yield UpdateReceived(
                round=task.round,
                hospital=item.hospital,
                pairs=item.pairs,
                steps=item.steps,
                loss=item.loss,
                variance=item.variance,
                bytes=_sent_bytes(item, task),
                tokens=item.tokens,
                seconds=item.seconds,
            )
        return Round(
            number=task.round,
            start=task.start,
            updates=sorted(updates, key=lambda update: update.hospital),
            unusable=unusable,
        )

    def _evaluate(self, number: int, adapters: Mapping[str, Adapter], stage: Stage) -> Generator[AnyEvent | None, None, float]:
        """Evaluate everywhere; returns the mean over hospitals."""
        losses = []
        for item in self._transport.evaluate(adapters):
            if not isinstance(item, Evaluation):
                yield None
                continue
            losses.append(item.loss)
            yield Evaluated(
                round=number, hospital=item.hospital, stage=stage, loss=item.loss, pairs=item.pairs, tokens=item.tokens
            )
        return fmean(losses)

    def _save(self, usable: Mapping[str, Adapter], result: Aggregation, finished: RoundFinished) -> None:
        position = self.position
        for hospital, adapter in usable.items():
            self._bank.save(adapter, self._folder.adapter_folder(hospital))
        self._bank.save(position.adapter, self._folder.adapter_folder(GLOBAL))
        self._bank.put(slot(GLOBAL), position.adapter)
        state = RoundState(
            round=position.completed,
            sha256=hashlib.sha256(to_bytes(position.adapter)).hexdigest(),
            settings_hash=settings_hash(self._config),
            finished=finished,
            seconds=position.seconds,
            weights=result.weights,
            memory=position.memory,
        )
        self._folder.save_round(position.adapter, state, position.carried)
        self._manifest.completed = position.completed
        self._folder.write_manifest(self._manifest)


def _sent_bytes(update: Update, task: Assignment) -> int:
    """What has to travel: the factors that were trained, without the frozen directions, and scaffold's gradient."""
    total = size_of(update.gradient)
    for name, tensor in update.adapter.items():
        is_a = ".lora_A." in name
        if ("A" if is_a else "B") in task.trains:
            total += size_of({name: tensor[task.held :] if is_a else tensor[:, task.held :]})
    return total
