"""A hospital's engine process beside its relay: one that hangs is replaced, and the new one joins the run again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from engine import locations
from engine.federated.flare import child, wire
from engine.federated.flare.child import JOIN, Child, Fallen
from engine.model.adapters import AdapterBank, digest_of
from engine.protocol import AnyEvent, TrainingStarted
from engine.settings import RunConfig
from tests.engine.conftest import load_tiny
from tests.process.conftest import PATIENCE, tiny_config


@pytest.fixture
def config(tiny_model: Path) -> RunConfig:
    return tiny_config(tiny_model, lora__rank=4, training__local_steps=500)


@pytest.fixture
def bank(tiny_model: Path) -> AdapterBank:
    return load_tiny(tiny_model, quantization="none")


@pytest.fixture
def hospital(home: Path, config: RunConfig) -> Iterator[Child]:
    """Hospital A, in the run."""
    kit = home / "kit"
    kit.mkdir()
    one = Child("A", kit, locations.sample_folder())
    joined = one.call(JOIN, wire.pack(wire.Join(run="r", config=config, digest="", quantization="", tokenizer="")), ignore)
    assert isinstance(wire.unpack(joined, where="A")[0], wire.Joined)
    yield one
    one.close()


def ignore(event: AnyEvent) -> None: ...


def late_training(hospital: Child, bank: AdapterBank, fallen: list[str]) -> threading.Thread:
    """A call that will be late, once its work has begun."""
    start, begun = bank.initial(seed=7), threading.Event()
    asked = wire.pack(wire.Train(start=digest_of(start), round=1, trains=("A", "B"), held=0), {"start": start})

    def call() -> None:
        try:
            hospital.call("train", asked, lambda event: begun.set() if isinstance(event, TrainingStarted) else None)
        except Fallen as error:
            fallen.append(error.kind)

    thread = threading.Thread(target=call)
    thread.start()
    assert begun.wait(PATIENCE)
    return thread


def evaluation(bank: AdapterBank) -> bytes:
    adapter = bank.initial(seed=8)
    return wire.pack(wire.Evaluate(adapter=digest_of(adapter)), {"adapter": adapter})


def engine_of(hospital: Child) -> psutil.Process:
    assert hospital._process is not None
    return psutil.Process(hospital._process.pid)


def test_an_engine_that_hangs_is_replaced_and_the_next_call_is_answered(
    hospital: Child, bank: AdapterBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "HALT_SECONDS", 0.5)
    fallen: list[str] = []
    late = late_training(hospital, bank, fallen)
    engine = engine_of(hospital)
    engine.suspend()

    answer = hospital.call("evaluate", evaluation(bank), ignore)

    late.join()
    assert isinstance(wire.unpack(answer, where="A")[0], wire.Measured)
    assert fallen == ["gone"]
    assert not engine.is_running() and engine_of(hospital) != engine


def test_an_engine_that_stops_a_late_call_stays(hospital: Child, bank: AdapterBank) -> None:
    fallen: list[str] = []
    late = late_training(hospital, bank, fallen)
    engine = engine_of(hospital)

    answer = hospital.call("evaluate", evaluation(bank), ignore)

    late.join()
    assert isinstance(wire.unpack(answer, where="A")[0], wire.Measured)
    assert fallen == ["late"]
    assert engine_of(hospital) == engine
