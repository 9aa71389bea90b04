"""The one round loop, whatever the transport.

A round: every hospital trains from the global adapter → updates → evaluation of each update at home → aggregation → evaluation
of the new global adapter everywhere → checkpoint. The loop is a generator of events; None means that a micro-step was done and
that something else may run before the next.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from statistics import fmean

from engine.aggregation.combine import factors
from engine.aggregation.weighting import REASONS, WEIGHTINGS, describe
from engine.federated.checkpoint import Manifest, RoundState, RunFolder, settings_hash
from engine.federated.transport import Transport
from engine.federated.update import Evaluation, Update
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


class Coordinator:
    """Runs rounds over a transport and keeps the run folder up to date."""

    def __init__(
        self, transport: Transport, bank: AdapterBank, folder: RunFolder, manifest: Manifest, position: Position
    ) -> None:
        self._transport = transport
        self._bank = bank
        self._folder = folder
        self._manifest = manifest
        self._config = manifest.config
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
        started, rounds = time.monotonic(), self._config.training.rounds
        yield RoundStarted(round=number, rounds=rounds)
        updates = yield from self._collect(number)
        yield from self._evaluate(number, {update.hospital: update.adapter for update in updates}, "local")
        weights = WEIGHTINGS[self._config.aggregation.weighting](updates)
        adapter = factors(updates, weights)
        yield self._aggregated(number, updates, weights)
        before = self.position.macro_loss
        assert before is not None
        after = yield from self._evaluate(number, dict.fromkeys(self._names, adapter), "global")
        seconds = time.monotonic() - started
        finished = RoundFinished(round=number, rounds=rounds, before=before, after=after, seconds=seconds)
        self.position = Position(adapter=adapter, completed=number, macro_loss=after, seconds=self.position.seconds + seconds)
        self._save(updates, weights, finished)
        yield finished

    def _collect(self, number: int) -> Generator[AnyEvent | None, None, list[Update]]:
        updates = []
        for item in self._transport.train(number, self.position.adapter):
            if not isinstance(item, Update):
                yield item
                continue
            self._bank.check(item.adapter, where=f"update of hospital {item.hospital}")
            self._bank.put(slot(item.hospital), item.adapter)  # so that its model can be chatted with at once
            updates.append(item)
            yield UpdateReceived(
                round=number,
                hospital=item.hospital,
                pairs=item.pairs,
                steps=item.steps,
                loss=item.loss,
                variance=item.variance,
                bytes=size_of(item.adapter),
                tokens=item.tokens,
                seconds=item.seconds,
            )
        return sorted(updates, key=lambda update: update.hospital)

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

    def _aggregated(self, number: int, updates: list[Update], weights: dict[str, float]) -> Aggregated:
        weighting = self._config.aggregation.weighting
        return Aggregated(
            round=number,
            weighting=weighting,
            combine="factors",
            weights=describe(updates, weights),
            reason=REASONS[weighting],
        )

    def _save(self, updates: list[Update], weights: dict[str, float], finished: RoundFinished) -> None:
        position = self.position
        for update in updates:
            self._bank.save(update.adapter, self._folder.adapter_folder(update.hospital))
        self._bank.save(position.adapter, self._folder.adapter_folder(GLOBAL))
        self._bank.put(slot(GLOBAL), position.adapter)
        state = RoundState(
            round=position.completed,
            sha256=hashlib.sha256(to_bytes(position.adapter)).hexdigest(),
            settings_hash=settings_hash(self._config),
            finished=finished,
            seconds=position.seconds,
            weights=weights,
        )
        self._folder.save_round(position.adapter, state)
        self._manifest.completed = position.completed
        self._folder.write_manifest(self._manifest)
