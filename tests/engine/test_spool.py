"""A round's updates lie on disk, not in memory, and a chat finds them there."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine import locations
from engine.errors import RunError
from engine.federated.checkpoint import RunFolder
from engine.federated.coordinator import Position
from engine.federated.spool import FOLDER
from engine.federated.transport import Assessing, Evaluating, Training
from engine.federated.update import Assessment, Assignment, Evaluation, Update
from engine.jobs.context import Engine
from engine.jobs.run import start_run
from engine.jobs.served import Adapters
from engine.model.adapters import Adapter, AdapterBank, Stored, digest_of, load_adapter, to_bytes
from engine.protocol import HospitalInfo, RoundFinished, StartRun, UpdateReceived
from engine.settings import load_config
from tests.engine.test_faulty_hospitals import SMALL, bank, coordinator, settings  # noqa: F401  (bank is a fixture)


def test_a_stored_adapter_is_the_adapter(tmp_path: Path, bank: AdapterBank) -> None:  # noqa: F811
    adapter = bank.initial(seed=1)

    stored = Stored(adapter, tmp_path / "one.safetensors")

    assert stored.keys() == adapter.keys()
    assert all(bool((stored[name] == tensor).all()) for name, tensor in adapter.items())
    assert to_bytes(stored) == to_bytes(adapter)
    assert digest_of(stored) == digest_of(adapter)


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-8])])
def test_a_stored_adapter_that_is_gone_or_cut_is_told_in_words(tmp_path: Path, bank: AdapterBank, harm: Any) -> None:  # noqa: F811
    stored = Stored(bank.initial(seed=1), path := tmp_path / "one.safetensors")
    harm(path)

    with pytest.raises(RunError, match="gone or damaged"):
        to_bytes(stored)


class Many:
    """Hospitals whose updates are watched: how many of them are in memory when the next one comes."""

    def __init__(self, count: int) -> None:
        self._names = [f"H{number:02d}" for number in range(count)]
        self._made: list[weakref.ref[Any]] = []
        self.most = 0

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        return tuple(HospitalInfo(name=name, train=1, validation=1, test=1) for name in self._names)

    def train(self, assignment: Assignment) -> Training:
        for number, name in enumerate(self._names, start=1):
            yield self._update(assignment, number, name)
            self.most = max(self.most, sum(made() is not None for made in self._made))

    def _update(self, assignment: Assignment, number: int, name: str) -> Update:
        adapter = {key: tensor + number * assignment.round for key, tensor in assignment.start.items()}
        self._made.append(weakref.ref(next(iter(adapter.values()))))
        return Update(name, adapter, 1, 1, loss=1.0, variance=0.0, tokens=1, seconds=0.0, round=assignment.round)

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        yield from (Evaluation(name, 1.0, 1, 1) for name in sorted(adapters))

    def assess(self, assessment: Assessment) -> Assessing:
        yield from ()


def test_the_coordinator_holds_one_update_at_a_time(home: Path, bank: AdapterBank) -> None:  # noqa: F811
    config, many = settings(training__rounds=2), Many(12)

    with RunFolder("run") as folder:
        list(coordinator(bank, many, config, folder, Position(bank.initial(config.seed))).rounds())

    assert many.most == 1
    assert not (folder.path / FOLDER).exists()
    assert {path.parent.parent.name for path in folder.path.glob("hospital_*/final/*.safetensors")} == {
        f"hospital_H{number:02d}" for number in range(12)
    }


@pytest.fixture
def job(home: Path, tiny_model: Path) -> Iterator[tuple[Engine, Any]]:
    """A run of two short rounds, and the engine that it is in."""
    short = {"training.rounds": 2, "training.local_steps": 1, "model.source": str(tiny_model), "model.quantization": "none"}
    config, engine = load_config(overrides=SMALL | short), Engine(attached=False)
    job = start_run(engine, StartRun(job="1", run="r", config=config))
    yield engine, job
    job.close()


def test_an_update_can_be_chatted_with_as_soon_as_it_has_come(job: tuple[Engine, Any]) -> None:
    engine, events = job
    next(event for event in events if isinstance(event, UpdateReceived) and event.hospital == "B")

    found = {name: Adapters(engine, "").find(name) for name in "ABC"}

    assert [bool(served.tensors) for served, _ in found.values()] == [True, True, False]
    assert [bool(note) for _, note in found.values()] == [False, False, True]


def test_the_updates_of_a_round_become_the_hospitals_adapters(job: tuple[Engine, Any]) -> None:
    engine, events = job
    next(event for event in events if isinstance(event, UpdateReceived) and event.hospital == "B")
    come = Adapters(engine, "").find("B")[0].tensors
    next(event for event in events if isinstance(event, RoundFinished))

    _, final = load_adapter(locations.run_folder("r") / "hospital_B/final")

    assert to_bytes(final) == to_bytes(come) == to_bytes(Adapters(engine, "").find("B")[0].tensors)
    assert not (locations.run_folder("r") / FOLDER).exists()


def test_a_run_that_is_stopped_leaves_no_updates_behind(job: tuple[Engine, Any]) -> None:
    _, events = job
    next(event for event in events if isinstance(event, UpdateReceived) and event.hospital == "B")
    assert (locations.run_folder("r") / FOLDER).exists()

    events.close()

    assert not (locations.run_folder("r") / FOLDER).exists()
