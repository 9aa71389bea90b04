"""A hospital that fails is left out of the round, with the reason; the round goes on while the quorum holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from engine import locations
from engine.aggregation.aggregator import Aggregator
from engine.federated.checkpoint import RunFolder
from engine.federated.checks import out_of_line
from engine.federated.collect import Paused
from engine.federated.coordinator import Coordinator, Position
from engine.federated.hospital import Hospital
from engine.federated.transport import InProcess, Transport
from engine.federated.update import Assignment, Update
from engine.manifest import Manifest
from engine.model.adapters import AdapterBank, to_bytes
from engine.protocol import Aggregated, AnyEvent, Evaluated, HospitalLost, RoundFinished, Stamped, decode_event, encode_event
from engine.settings import RunConfig, load_config
from tests.engine.conftest import load_tiny
from tests.engine.faults import DAMAGES, RECORD_TEXT, Faulty, Wired
from tests.engine.odd_hospitals import FAILURES, Clock, Misbehaving

WHEN = {1: "B", 2: "C", 3: "B"}
"""The first, a middle and the last round; B takes part again in between."""
SMALL = {
    "lora.rank": 4,
    "training.rounds": 3,
    "training.local_steps": 2,
    "training.batch_size": 2,
    "training.max_tokens": 48,
    "training.warmup_fraction": 0.0,
    "data.max_pairs": 4,
    "data.validation_pairs": 2,
    "aggregation.weighting": "samples",
}


@pytest.fixture(scope="module")
def bank(tiny_model: Path) -> AdapterBank:
    return load_tiny(tiny_model, quantization="none")


def as_it_is(transport: Transport) -> Transport:
    """Nothing is carried: one process."""
    return transport


def settings(**overrides: Any) -> RunConfig:
    return load_config(overrides=SMALL | {key.replace("__", "."): value for key, value in overrides.items()})


def in_process(bank: AdapterBank, config: RunConfig, *odd: Hospital, clock: Callable[[], float] = time.monotonic) -> InProcess:
    """Hospitals A, B and C; the odd ones in place of those of their name."""
    hospitals = {name: Hospital(name, locations.sample_folder(), config) for name in "ABC"}
    hospitals |= {hospital.name: hospital for hospital in odd}
    for hospital in hospitals.values():
        hospital.attach(bank)
    return InProcess(list(hospitals.values()), config.federation.deadline_s, clock)


def coordinator(bank: AdapterBank, transport: Transport, config: RunConfig, folder: RunFolder, begin: Position) -> Coordinator:
    manifest = Manifest(run=folder.run, config=config, hospitals=tuple("ABC"), created=0.0, rounds=3)
    folder.write_manifest(manifest)
    return Coordinator(transport, bank, folder, manifest, begin, Aggregator(config, transport))


def run(bank: AdapterBank, transport: Transport, config: RunConfig) -> list[AnyEvent]:
    """A whole run's events, as they come out of its record again."""
    with RunFolder("run") as folder:
        rounds = coordinator(bank, transport, config, folder, Position(bank.initial(config.seed))).rounds()
        lines = [encode_event(Stamped(seq=1, time=0.0, event=event)) for event in rounds if event is not None]
    return [decode_event(line).event for line in lines]


def assert_left_out(events: list[AnyEvent], kind: str, when: Mapping[int, str] = WHEN) -> None:
    """In each round of `when` this hospital does not count, and it is said why; everybody else counts in every round."""
    lost = [event for event in events if isinstance(event, HospitalLost)]
    assert [(one.round, one.hospital, one.kind, one.during) for one in lost] == [
        (number, hospital, kind, "training") for number, hospital in when.items()
    ]
    assert all(one.reason for one in lost) and RECORD_TEXT not in repr(events)
    for event in events:
        if isinstance(event, Aggregated):
            assert {one.hospital for one in event.weights if one.weight == 0} == {when.get(event.round, "")} - {""}
    assert [event.round for event in events if isinstance(event, RoundFinished)] == [1, 2, 3]


@pytest.mark.parametrize("carry", [as_it_is, Wired])
@pytest.mark.parametrize("fault", DAMAGES)
def test_a_bad_update_is_left_out_of_its_round(
    home: Path, bank: AdapterBank, fault: str, carry: Callable[[Transport], Transport]
) -> None:
    config, (kind, damage) = settings(), DAMAGES[fault]

    events = run(bank, carry(Faulty(in_process(bank, config), WHEN, damage)), config)

    assert_left_out(events, kind)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_hospital_that_fails_is_left_out_of_its_round(
    home: Path, bank: AdapterBank, failure: str, capfd: pytest.CaptureFixture[str]
) -> None:
    config, (kind, act) = settings(), FAILURES[failure]
    odd = [Misbehaving(name, locations.sample_folder(), config, when=WHEN, act=act) for name in "BC"]

    events = run(bank, in_process(bank, config, *odd), config)

    assert_left_out(events, kind)
    assert RECORD_TEXT not in capfd.readouterr().err, "the engine's log is not the hospital's"


def test_a_hospital_past_the_deadline_is_left_out_of_its_round(home: Path, bank: AdapterBank) -> None:
    config, clock = settings(federation__deadline_s=900.0), Clock()
    odd = [Misbehaving(name, locations.sample_folder(), config, when=WHEN, act=clock.dawdle) for name in "BC"]

    events = run(bank, in_process(bank, config, *odd, clock=clock), config)

    assert_left_out(events, "late")


@pytest.mark.parametrize(("neighbour", "kind"), [(True, "copied"), (False, "stale")])
def test_an_update_of_the_last_round_is_recognised(home: Path, bank: AdapterBank, neighbour: bool, kind: str) -> None:
    config, when = settings(), {2: "C", 3: "B"}

    def old(faulty: Faulty, update: Update, task: Assignment) -> Update:
        return replace(update, adapter=faulty.before["A" if neighbour else update.hospital].adapter)

    events = run(bank, Faulty(in_process(bank, config), when, old), config)

    assert_left_out(events, kind, when)


def test_an_update_that_two_sent_counts_for_the_first_by_name_though_it_came_later(bank: AdapterBank) -> None:
    start = bank.initial(seed=7)
    moved = {name: tensor + 0.01 for name, tensor in start.items()}
    of_b, of_a = (Update(name, moved, 9, 2, 2.5, 0.1, 900, 1.0, 1) for name in "BA")  # A copied B

    lost = out_of_line([of_b, of_a], Assignment(round=1, start=start), before={})

    assert [(one.hospital, one.kind) for one in lost] == [("B", "copied")]


def broken(*_: object) -> Generator[None, None, Any]:
    yield None
    raise ValueError(RECORD_TEXT)


def test_an_agent_goes_on_without_a_voter_that_fails(home: Path, bank: AdapterBank) -> None:
    config = settings(aggregation__weighting="agent", aggregation__evaluation_share=5.0, data__validation_pairs=8)
    odd = Hospital("B", locations.sample_folder(), config)
    odd.assess = broken  # type: ignore[method-assign]

    events = run(bank, in_process(bank, config, odd), config)

    lost = [event for event in events if isinstance(event, HospitalLost)]
    assert [(one.round, one.during, one.kind) for one in lost] == [(number, "judging", "raised") for number in (1, 2, 3)]
    assert all(voter.voter != "B" for event in events if isinstance(event, Aggregated) for voter in event.slices)


def test_a_mean_is_taken_over_those_who_answered_both_times(home: Path, bank: AdapterBank) -> None:
    config = settings(training__rounds=1)
    odd, calls = Hospital("B", locations.sample_folder(), config), count(1)
    evaluate = odd.evaluate
    odd.evaluate = lambda adapter: evaluate(adapter) if next(calls) < 3 else broken()  # type: ignore[method-assign]

    events = run(bank, in_process(bank, config, odd), config)

    base = {event.hospital: event.loss for event in events if isinstance(event, Evaluated) and event.stage == "base"}
    end = next(event for event in events if isinstance(event, RoundFinished))
    assert end.before == pytest.approx((base["A"] + base["C"]) / 2)


def test_below_the_quorum_the_run_pauses_and_goes_on_to_the_same_bits(home: Path, bank: AdapterBank) -> None:
    config, damage = settings(), DAMAGES["NaN"][1]
    healthy = in_process(bank, config)
    both = Faulty(Faulty(healthy, {2: "A"}, damage), {2: "B"}, damage)
    with RunFolder("whole") as folder:
        whole = coordinator(bank, healthy, config, folder, Position(bank.initial(config.seed)))
        list(whole.rounds())

    with RunFolder("paused") as folder:
        first = coordinator(bank, both, config, folder, Position(bank.initial(config.seed)))
        with pytest.raises(Paused, match="1 of 3 hospitals are left in round 2, 2 are needed"):
            list(first.rounds())
        assert first.position.completed == 1
        second = coordinator(bank, healthy, config, folder, first.position)
        list(second.rounds())

    assert to_bytes(second.position.adapter) == to_bytes(whole.position.adapter)


def test_a_smaller_quorum_can_be_chosen(home: Path, bank: AdapterBank) -> None:
    config, damage = settings(federation__quorum=1), DAMAGES["NaN"][1]
    both = Faulty(Faulty(in_process(bank, config), {2: "A"}, damage), {2: "B"}, damage)

    events = run(bank, both, config)

    assert [event.round for event in events if isinstance(event, RoundFinished)] == [1, 2, 3]


@pytest.mark.parametrize(("hospitals", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (6, 4), (50, 34)])
def test_the_usual_quorum_is_two_thirds(hospitals: int, needed: int) -> None:
    assert settings().federation.needed(hospitals) == needed


def test_the_last_step_of_a_schedule_may_move_nobody(home: Path, bank: AdapterBank) -> None:
    config = settings(training__local_steps=1)  # the third round's only step has learning rate 0

    events = run(bank, in_process(bank, config), config)

    assert not [event for event in events if isinstance(event, HospitalLost)]
    assert [event.round for event in events if isinstance(event, RoundFinished)] == [1, 2, 3]
