"""A complete run in memory, by the run's own parts: hospitals, assignment, aggregator. No folder, no events, same bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.aggregation.aggregator import Round
from engine.aggregation.assignment import assignment, controls
from engine.aggregation.memory import Memory
from engine.aggregation_messages import Aggregated
from engine.benchmark.suite import Measuring, Tick
from engine.errors import ModelError
from engine.federated.hospital import Hospital
from engine.federated.transport import InProcess
from engine.federated.update import Assignment, Update
from engine.jobs.run import aggregator_for
from engine.model.adapters import Adapter, AdapterBank
from engine.protocol import StepDone
from engine.settings import RunConfig


@dataclass
class FirstRound:
    """The first round's updates: the same under every weighting, so one training serves all."""

    updates: list[Update] = field(default_factory=list)


@dataclass(frozen=True)
class Federated:
    """How a run ended."""

    adapter: Adapter
    last: Aggregated


def federate(
    config: RunConfig, bank: AdapterBank, hospitals: Sequence[Hospital], first: FirstRound, item: str
) -> Measuring[Federated]:
    """All rounds. `first` is filled by the first caller and used by the others. Raises RunError when no update is usable."""
    transport = InProcess(list(hospitals))
    aggregator = aggregator_for(config, transport, bank)
    adapter, memory, carried = bank.initial(config.seed), Memory(), dict[str, Adapter]()
    rounds = config.training.rounds
    trained = _Steps(item, (rounds - bool(first.updates)) * sum(hospital.steps_per_round for hospital in hospitals))
    for number in range(1, rounds + 1):
        task = assignment(config, number, adapter, carried, bank.initial)
        if number > 1 or not first.updates:
            updates = yield from _collect(transport, task, trained)
            first.updates = first.updates or updates
        else:
            updates = first.updates
        given = Round(number, task.start, updates, _unusable(bank, updates))
        result = yield from aggregator.aggregate(given, memory, carried)
        adapter, memory, carried = result.adapter, result.memory, result.moments | controls(given.updates)
    return Federated(adapter, result.event)


@dataclass
class _Steps:
    """Counts optimizer steps of an item."""

    item: str
    total: int
    done: int = 0

    def tick(self) -> Tick:
        self.done += 1
        return Tick(self.item, self.done / self.total)


def _collect(transport: InProcess, task: Assignment, trained: _Steps) -> Measuring[list[Update]]:
    updates = []
    for item in transport.train(task):
        if isinstance(item, Update):
            updates.append(item)
        else:
            yield trained.tick() if isinstance(item, StepDone) else None
    return sorted(updates, key=lambda update: update.hospital)


def _unusable(bank: AdapterBank, updates: Sequence[Update]) -> dict[str, str]:
    """Hospitals whose update does not fit the model or is not finite, with the reason."""
    complaints = {}
    for update in updates:
        try:
            bank.check(update.adapter, where=update.hospital)
        except ModelError as error:
            complaints[update.hospital] = error.message
    return complaints
