"""Faults beside what a run carries from round to round, in its evaluations, and where too few hospitals are left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from engine import locations
from engine.aggregation.aggregator import Aggregator
from engine.federated.checkpoint import RunFolder
from engine.federated.collect import Paused
from engine.federated.coordinator import Coordinator
from engine.federated.transport import Transport
from engine.jobs.run import _position
from engine.manifest import Manifest
from engine.model.adapters import AdapterBank
from engine.protocol import AnyEvent, Evaluated, HospitalLost, RoundFinished
from engine.settings import CombineRule, RunConfig, ServerOptimizer, Weighting
from tests.engine.conftest import load_tiny
from tests.engine.faults import DAMAGES, EVALUATIONS, Faulty, FaultyEvaluations, Wired
from tests.engine.odd_hospitals import Misbehaving, fail
from tests.engine.test_faulty_hospitals import WHEN, as_it_is, assert_left_out, in_process, run, settings

JUDGED = {"aggregation__evaluation_share": 5.0, "data__validation_pairs": 8}
RULES: dict[str, dict[str, Any]] = {
    **{name: {"aggregation__weighting": name, **JUDGED} for name in get_args(Weighting)},
    **{name: {"aggregation__combine": name} for name in get_args(CombineRule)},
    **{name: {"aggregation__server_optimizer": name, "aggregation__combine": "factors"} for name in get_args(ServerOptimizer)},
    "scaffold": {"training__objective": "scaffold", "aggregation__combine": "factors"},
    "scaffold, alternate": {"training__objective": "scaffold", "aggregation__combine": "alternate"},
    "fedprox": {"training__objective": "fedprox"},
    "a part trains": {"federation__participation": 0.6, "federation__quorum": 1},
}
"""By name, every rule that decides what the next round begins with."""


@pytest.fixture(scope="module")
def bank(tiny_model: Path) -> AdapterBank:
    return load_tiny(tiny_model, quantization="none")


def last_adapter(name: str) -> bytes:
    return (locations.run_folder(name) / "rounds/003/global.safetensors").read_bytes()


def goes_on(bank: AdapterBank, transport: Transport, config: RunConfig, folder: RunFolder) -> Coordinator:
    """A coordinator that knows nothing but what lies on the disk."""
    manifest = Manifest(run=folder.run, config=config, hospitals=tuple("ABC"), created=0.0, rounds=3)
    checkpoint, _ = folder.newest_round()
    folder.write_manifest(manifest)
    position = _position(bank, manifest, checkpoint, where="")
    return Coordinator(transport, bank, folder, manifest, position, Aggregator(config, transport))


def rounds_one_by_one(bank: AdapterBank, transport: Transport, config: RunConfig) -> list[AnyEvent]:
    """A run that is cut off after each round and goes on from the disk."""
    events: list[AnyEvent] = []
    with RunFolder("cut") as folder:
        for number in (1, 2, 3):
            work = goes_on(bank, transport, config, folder).rounds()
            for event in work:
                events += [event] if event is not None else []
                if isinstance(event, RoundFinished) and event.round == number:
                    break
            work.close()
    return events


@pytest.mark.parametrize("rule", RULES)
def test_a_fault_leaves_nothing_in_what_the_next_round_begins_with(home: Path, bank: AdapterBank, rule: str) -> None:
    config, damage = settings(**RULES[rule]), DAMAGES["NaN"][1]

    whole = run(bank, Faulty(in_process(bank, config), WHEN, damage), config)
    cut = rounds_one_by_one(bank, Wired(Faulty(in_process(bank, config), WHEN, damage)), config)

    assert [event for event in cut if isinstance(event, HospitalLost)] == [
        event for event in whole if isinstance(event, HospitalLost)
    ]
    assert any(isinstance(event, HospitalLost) for event in whole)
    assert last_adapter("cut") == last_adapter("run")


# --- evaluations ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("carry", [as_it_is, Wired])
@pytest.mark.parametrize("fault", EVALUATIONS)
def test_a_bad_evaluation_is_left_out_and_moves_nothing(
    home: Path, bank: AdapterBank, fault: str, carry: Callable[[Transport], Transport]
) -> None:
    config = settings()
    run(bank, in_process(bank, config), config)
    healthy = last_adapter("run")

    events = run(bank, carry(FaultyEvaluations(in_process(bank, config), WHEN, EVALUATIONS[fault])), config)

    lost = [(one.round, one.hospital, one.kind, one.during) for one in events if isinstance(one, HospitalLost)]
    assert lost == [(number, name, "damaged", "evaluation") for number, name in WHEN.items() for _ in ("its own", "global")]
    assert not [one for one in events if isinstance(one, Evaluated) and one.hospital == WHEN.get(one.round)]
    assert last_adapter("run") == healthy


def test_a_hospital_that_fails_in_its_evaluations_is_asked_again(home: Path, bank: AdapterBank) -> None:
    config = settings()
    odd = [Misbehaving(name, locations.sample_folder(), config, when=WHEN, act=fail, during="evaluation") for name in "BC"]

    events = run(bank, in_process(bank, config, *odd), config)

    heard = {number: {one.hospital for one in events if isinstance(one, Evaluated) and one.round == number} for number in WHEN}
    assert heard == {1: {"A", "C"}, 2: {"A", "B"}, 3: {"A", "C"}}


def test_a_killed_hospital_is_told_the_same_over_the_wire(home: Path, bank: AdapterBank) -> None:
    config = settings()
    odd = [Misbehaving(name, locations.sample_folder(), config, when=WHEN, act=fail) for name in "BC"]

    events = run(bank, Wired(in_process(bank, config, *odd)), config)

    assert_left_out(events, "raised")


# --- too few ----------------------------------------------------------------------------------------------------------------


def failing(config: RunConfig, during: Any, number: int) -> list[Misbehaving]:
    """Two of three hospitals fail in a round."""
    folder = locations.sample_folder()
    return [Misbehaving(name, folder, config, when={number: name}, act=fail, during=during) for name in "AB"]


@pytest.mark.parametrize(
    ("during", "number", "rule"),
    [
        ("evaluation", 0, "scaffold"),
        *((during, number, "scaffold") for during in ("training", "evaluation") for number in (1, 2, 3)),
        *((during, 2, "agent") for during in ("training", "evaluation")),
    ],
)
def test_a_run_that_paused_in_any_round_goes_on_from_the_disk_to_the_same_bits(
    home: Path, bank: AdapterBank, during: str, number: int, rule: str
) -> None:
    config = settings(**RULES[rule])
    run(bank, in_process(bank, config), config)

    with RunFolder("cut") as folder:
        with pytest.raises(Paused, match=f"1 of 3 hospitals are left in round {number}, 2 are needed"):
            list(goes_on(bank, in_process(bank, config, *failing(config, during, number)), config, folder).rounds())
        paused = goes_on(bank, in_process(bank, config), config, folder)
        completed = paused.position.completed
        list(paused.rounds())

    assert completed == max(0, number - 1)
    assert last_adapter("cut") == last_adapter("run")
    assert not list(locations.run_folder("cut").rglob("*.partial"))
