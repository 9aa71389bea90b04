"""Rounds of the real coordinator over simulated hospitals, in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import psutil
import torch

from engine.aggregation.aggregator import Aggregator
from engine.federated.checkpoint import RunFolder
from engine.federated.coordinator import Coordinator, Position
from engine.federated.transport import Assessing, Evaluating, Training
from engine.federated.update import Assessment, Assignment, Evaluation, Update
from engine.manifest import Manifest
from engine.model.adapters import Adapter, AdapterBank
from engine.model.base import BaseModel, load_base
from engine.privacy.ledger import Ledgered
from engine.protocol import HospitalInfo, RoundFinished
from engine.settings import load_config

NOISE = 1e-3
PAIRS = 100
MIB = 1024**2


class Simulated:
    """Hospitals that return the round's adapter with seeded noise, made when it is asked for."""

    def __init__(self, count: int) -> None:
        names = (f"H{number:04d}" for number in range(count))
        self._infos = tuple(HospitalInfo(name=name, train=PAIRS, validation=10, test=10) for name in names)

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        """Who takes part, sorted by name."""
        return self._infos

    def train(self, assignment: Assignment) -> Training:
        """One update after the other."""
        for number, info in enumerate(self._infos):
            yield Update(
                hospital=info.name,
                adapter=_noisy(assignment.start, assignment.round * 10_000 + number),
                pairs=PAIRS,
                steps=1,
                loss=2.0 + number / 10_000,
                variance=0.1,
                tokens=100,
                seconds=0.0,
                round=assignment.round,
            )

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        """A loss each."""
        for number, name in enumerate(sorted(adapters)):
            yield Evaluation(name, 2.0 + number / 10_000, 10, 100)

    def assess(self, assessment: Assessment) -> Assessing:
        """Nobody judges."""
        yield from ()


def run_rounds(settings: Mapping[str, Any], count: int, rounds: int, weighting: str) -> tuple[float, float]:
    """Resident MiB before round 1, and seconds per round."""
    rules = {"training.rounds": rounds, "aggregation.weighting": weighting, "aggregation.combine": "exact"}
    config = load_config(overrides={**settings, **rules})
    *_, base = load_base(config.model)
    assert isinstance(base, BaseModel)
    bank = AdapterBank(base, config.lora)
    transport = Ledgered(Simulated(count))
    manifest = Manifest(
        run="scale",
        config=config,
        hospitals=tuple(info.name for info in transport.hospitals()),
        created=time.time(),
        rounds=rounds,
    )
    before = psutil.Process().memory_info().rss / MIB
    with RunFolder("scale") as folder:
        folder.write_manifest(manifest)
        position = Position(adapter=bank.initial(config.seed))
        aggregator = Aggregator(config, transport)
        coordinator = Coordinator(transport, bank, folder, manifest, position, aggregator, transport.ledger.close)
        took = [event.seconds for event in _events(coordinator) if isinstance(event, RoundFinished)]
    return before, sum(took) / len(took)


def _events(coordinator: Coordinator) -> Iterator[object]:
    yield from coordinator.rounds()


def _noisy(start: Adapter, seed: int) -> Adapter:
    generator = torch.Generator().manual_seed(seed)
    return {name: tensor + NOISE * torch.randn(tensor.shape, generator=generator) for name, tensor in start.items()}
