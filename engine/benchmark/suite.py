"""What every suite is given, and how it tells how far it has come."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from engine import locations
from engine.benchmark.record import RunRecord
from engine.benchmark_messages import RunBenchmark
from engine.errors import FedMedError, RunError
from engine.federated.hospital import Hospital
from engine.federated.update import Evaluation
from engine.jobs.context import Engine
from engine.manifest import Manifest, read_manifest
from engine.model.adapters import Adapter, AdapterBank, load_adapter
from engine.protocol import GLOBAL, StepDone
from engine.settings import RunConfig

T = TypeVar("T")
FORWARD = 0.5
"""Work of a token that is only read, where a training token is 1: one forward pass of a forward and a backward one."""
DECODE = 20.0
"""Work of a token that is decoded: it takes about as long as training on so many, for it reads every weight for one token."""


class NotMeasured(FedMedError):
    """A suite cannot run here; the others can."""

    title = "Benchmark"


@dataclass(frozen=True)
class Item:
    """One piece of a suite, and about how much work it is: in training tokens."""

    name: str
    work: float


@dataclass(frozen=True)
class Tick:
    """An item of the suite has come so far, 0 to 1."""

    item: str
    fraction: float


Measuring = Generator[Tick | None, None, T]
"""A suite at work: it pauses after every micro-step, and returns its section."""


@dataclass
class Subject:
    """The run that is measured.

    Args:
        engine: holds the loaded model; quick benchmarks have none.
        request: what was asked for.
        path: the run's folder.
    """

    engine: Engine
    request: RunBenchmark
    path: Path
    manifest: Manifest
    record: RunRecord

    @property
    def config(self) -> RunConfig:
        """The run's settings."""
        return self.manifest.config

    @property
    def bank(self) -> AdapterBank:
        """The loaded model."""
        assert self.engine.bank is not None, "the full benchmark loads the model first"
        return self.engine.bank

    @property
    def data(self) -> Path:
        """The folder with the partitions."""
        return locations.data_folder(self.config.data.folder)

    @property
    def names(self) -> list[str]:
        """The run's hospitals."""
        return [hospital.name for hospital in self.record.hospitals]

    @cached_property
    def hospitals(self) -> list[Hospital]:
        """The run's hospitals with their pairs. Raises DataError when their data cannot be read any more."""
        return self.hospitals_for(self.config)

    def hospitals_for(self, config: RunConfig) -> list[Hospital]:
        """The same hospitals under other settings."""
        self.config.require_here(self.request.run)
        hospitals = [Hospital(name, self.data, config) for name in self.names]
        for hospital in hospitals:
            hospital.attach(self.bank)
        return hospitals

    @cached_property
    def shared(self) -> Adapter:
        """The run's global adapter."""
        return load_adapter(self.path / GLOBAL)[1]

    def examine(self, hospital: Hospital, adapter: Adapter) -> Generator[None, None, Evaluation]:
        """Loss of an adapter on a hospital's test pairs, as many as were asked for."""
        return (yield from hospital.examine(adapter, self.request.test_pairs))

    def test_losses(self, adapter: Adapter) -> Generator[None, None, dict[str, float]]:
        """Loss of an adapter on every hospital's test pairs."""
        losses = {}
        for hospital in self.tested:
            losses[hospital.name] = (yield from self.examine(hospital, adapter)).loss
        return losses

    @cached_property
    def tested(self) -> list[Hospital]:
        """Hospitals that have test pairs. Raises NotMeasured when none has."""
        tested = [hospital for hospital in self.hospitals if hospital.info.test]
        if not tested:
            raise NotMeasured("no hospital has test pairs.", where=str(self.data), hint="Give some topics the split 'test'.")
        return tested

    # --- expected work ---------------------------------------------------------------------------------------------------------

    @property
    def run_work(self) -> float:
        """Training tokens of the whole run."""
        return float(sum(update.tokens for update in self.record.trainings))

    @property
    def pair_tokens(self) -> float:
        """Tokens of a pair, on average."""
        training = self.config.training
        steps = sum(update.steps for update in self.record.trainings)
        return self.run_work / (steps * training.batch_size * training.gradient_accumulation)

    @property
    def examination_work(self) -> float:
        """Work of reading every test pair once."""
        most = self.request.test_pairs
        pairs = sum(min(hospital.test, most or hospital.test) for hospital in self.record.hospitals)
        return FORWARD * pairs * self.pair_tokens


def open_subject(engine: Engine, request: RunBenchmark) -> Subject:
    """The run with its record. Raises RunError when there is no such run or it has not finished a round."""
    path = locations.run_folder(request.run)
    manifest = read_manifest(path)
    record = RunRecord.read(path / "events.jsonl")
    if not record.completed or record.model is None:
        raise RunError("has not finished a round yet.", where=request.run, hint="Go on with it first.")
    return Subject(engine, request, path, manifest, record)


def ticking(work: Generator[Any, None, T], item: str, done: float = 0.0, share: float = 1.0) -> Measuring[T]:
    """A hospital's work as ticks of an item, of which it is the part from `done` on; returns what the work returns."""
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            return cast("T", end.value)
        yield Tick(item, done + share * event.step / event.steps) if isinstance(event, StepDone) else None
