"""A complete run in memory, by the run's own parts: hospitals, assignment, aggregator. No folder, no events, same bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.aggregation.aggregator import Round
from engine.aggregation.assignment import assignment, controls
from engine.aggregation.memory import Memory
from engine.aggregation_messages import Aggregated
from engine.benchmark.suite import Measuring, Tick
from engine.federated.collect import Collecting, Roster, collect_updates, fingerprints
from engine.federated.hospital import Hospital
from engine.federated.participation import drawn
from engine.federated.transport import InProcess
from engine.jobs.run import aggregator_for
from engine.model.adapters import Adapter, AdapterBank
from engine.protocol import StepDone
from engine.settings import RunConfig


@dataclass
class FirstRound:
    """The first round's updates: the same under every weighting, so one training serves all."""

    given: Round | None = None


@dataclass(frozen=True)
class Federated:
    """How a run ended."""

    adapter: Adapter
    last: Aggregated


def federate(
    config: RunConfig, bank: AdapterBank, hospitals: Sequence[Hospital], first: FirstRound, item: str
) -> Measuring[Federated]:
    """All rounds. `first` is filled by the first caller and used by the others. Raises Paused when too few updates are usable."""
    transport = InProcess(list(hospitals))
    aggregator = aggregator_for(config, transport, bank)
    adapter, memory, carried = bank.initial(config.seed), Memory(), dict[str, Adapter]()
    rounds, names = config.training.rounds, [hospital.name for hospital in hospitals]
    asked = {number: drawn(config, number, names) for number in range(1, rounds + 1)}
    steps = {hospital.name: hospital.steps_per_round for hospital in hospitals}
    trained = _Steps(item, sum(steps[name] for number in asked if number > 1 or not first.given for name in asked[number]))
    prints: dict[str, str] = {}
    for number, present in asked.items():
        roster = Roster(present, config.federation.needed(len(present)), prints)
        task = replace(assignment(config, number, adapter, carried, bank.initial), hospitals=present)
        given = first.given if number == 1 else None
        given = given or (yield from _counted(collect_updates(transport, task, roster), trained))
        first.given = first.given or given
        prints = fingerprints(given)
        result = yield from aggregator.aggregate(given, memory, carried)
        adapter, memory, carried = result.adapter, result.memory, result.moments | controls(given.updates, carried)
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


def _counted(work: Collecting, trained: _Steps) -> Measuring[Round]:
    """The same, told as steps done."""
    while True:
        try:
            item = next(work)
        except StopIteration as end:
            given: Round = end.value
            return given
        yield trained.tick() if isinstance(item, StepDone) else None
