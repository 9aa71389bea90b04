"""A federation without screen and run folder: the engine's own hospitals, transport and aggregator, one arm after the other."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from engine.aggregation.aggregator import Aggregator
from engine.aggregation.assignment import assignment, controls
from engine.aggregation.memory import Memory
from engine.aggregation_messages import Aggregated
from engine.federated.collect import Roster, collect_updates, fingerprints
from engine.federated.hospital import Hospital
from engine.federated.transport import Assessing, InProcess, Training
from engine.federated.update import Assessment, Assignment, Update, Verdict
from engine.model.adapters import Adapter, AdapterBank
from engine.model.base import BaseModel, load_base
from engine.settings import RunConfig, load_config

T = TypeVar("T")
POISON = 4.0
"""The poisoned update goes so many times its own length the other way."""
LIE = 0.01
"""Factor on the liar's reported loss."""


def load_bank(config: RunConfig) -> AdapterBank:
    """The model, once for all arms."""
    *_, base = load_base(config.model)
    assert isinstance(base, BaseModel)
    return AdapterBank(base, config.lora)


def configuration(base: dict[str, Any], arm: dict[str, Any], seed: int) -> RunConfig:
    """The engine's own settings, checked as for any run."""
    return load_config(overrides={**base, **arm, "seed": seed})


class Attacked(InProcess):
    """A transport in which one hospital poisons its update, or lies about its losses and in every vote."""

    def __init__(self, hospitals: list[Hospital], scenario: str, bad: str) -> None:
        super().__init__(hospitals)
        self._scenario, self._bad = scenario, bad
        self._first: tuple[Adapter, list[Update]] | None = None

    def train(self, assignment: Assignment) -> Training:
        """As in a run; the first round, which is the same for all arms, is trained once."""
        if assignment.round == 1 and self._first is not None and self._same(assignment.start):
            yield from self._first[1]
            return
        updates = [self._changed(item, assignment.start) for item in super().train(assignment) if isinstance(item, Update)]
        if assignment.round == 1:
            self._first = assignment.start, updates
        yield from updates

    def _same(self, start: Adapter) -> bool:
        assert self._first is not None
        return all(bool((start[name] == tensor).all()) for name, tensor in self._first[0].items())

    def assess(self, assessment: Assessment) -> Assessing:
        """A liar calls every gain a loss."""
        for verdict in super().assess(assessment):
            if isinstance(verdict, Verdict) and self._scenario == "liar" and verdict.voter == self._bad and verdict.pairs:
                worst = 2 * verdict.losses[0]
                verdict = replace(  # noqa: PLW2901
                    verdict,
                    losses=tuple(worst - loss for loss in verdict.losses),
                    gains=tuple(-gain for gain in verdict.gains),
                    slopes=tuple(-slope for slope in verdict.slopes),
                )
            yield verdict

    def _changed(self, update: Update, start: Adapter) -> Update:
        if update.hospital != self._bad:
            return update
        if self._scenario == "poison":
            adapter = {name: start[name] - POISON * (tensor - start[name]) for name, tensor in update.adapter.items()}
            return replace(update, adapter=adapter)
        if self._scenario == "liar":
            return replace(update, loss=update.loss * LIE, variance=0.0)
        return update


@dataclass(frozen=True)
class Result:
    """How one arm ended."""

    losses: dict[str, float]
    """Test loss by hospital, nats per answer token."""
    events: list[Aggregated]
    seconds: float


def run(config: RunConfig, bank: AdapterBank, hospitals: Attacked, finals: list[Hospital]) -> Result:
    """All rounds of one arm, then the test pairs, once. Raises Paused when a hospital's update cannot be used."""
    started = time.monotonic()
    aggregator = Aggregator(config, hospitals)
    adapter, memory, carried = bank.initial(config.seed), Memory(), dict[str, Adapter]()
    names = [hospital.name for hospital in hospitals.hospitals()]
    roster = Roster(names, quorum=len(names))
    events = []
    for number in range(1, config.training.rounds + 1):
        given = finish(collect_updates(hospitals, assignment(config, number, adapter, carried, bank.initial), roster))
        roster = replace(roster, fingerprints=fingerprints(given))
        result = finish(aggregator.aggregate(given, memory, carried))
        adapter, memory, carried = result.adapter, result.memory, result.moments | controls(given.updates, carried)
        events.append(result.event)
    losses = {final.name: finish(final.evaluate(adapter)).loss for final in finals}
    return Result(losses, events, time.monotonic() - started)


def finish(work: Generator[Any, None, T]) -> T:
    """The value of a generator that is run to its end."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            value: T = end.value
            return value


def open_hospitals(folder: Path, config: RunConfig, bank: AdapterBank) -> list[Hospital]:
    """Every hospital of a folder of partitions, ready to work."""
    names = sorted(path.stem.removeprefix("hospital_") for path in folder.glob("hospital_*.jsonl"))
    hospitals = [Hospital(name, folder, config) for name in names]
    for hospital in hospitals:
        hospital.attach(bank)
    return hospitals
