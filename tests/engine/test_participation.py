"""Only a part of the hospitals trains in each round; the others rest, and nobody misses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.federated.checkpoint import RunFolder
from engine.federated.collect import Paused
from engine.federated.coordinator import Position
from engine.federated.participation import drawn
from engine.model.adapters import AdapterBank, to_bytes
from engine.protocol import Aggregated, Evaluated, HospitalLost, RoundStarted, UpdateReceived
from tests.engine.faults import DAMAGES, Faulty
from tests.engine.test_faulty_hospitals import bank, coordinator, in_process, run, settings  # noqa: F401  (bank is a fixture)

NAMES = [f"H{number:03d}" for number in range(100)]


@pytest.mark.parametrize(
    ("hospitals", "participation", "quorum", "asked"),
    [(3, 1.0, 0, 3), (3, 0.5, 0, 2), (100, 0.07, 0, 7), (1000, 0.1, 0, 100), (3, 0.01, 0, 1), (10, 0.1, 4, 4), (3, 0.1, 9, 3)],
)
def test_as_many_are_asked_as_the_part_and_the_quorum_say(hospitals: int, participation: float, quorum: int, asked: int) -> None:
    config = settings(federation__participation=participation, federation__quorum=quorum)

    assert config.federation.asked(hospitals) == asked


def test_the_draw_is_the_seeds_and_another_in_each_round() -> None:
    one, other = settings(federation__participation=0.1), settings(federation__participation=0.1, seed=8)

    draws = [drawn(one, number, NAMES) for number in range(1, 101)]

    assert draws == [drawn(one, number, NAMES[::-1]) for number in range(1, 101)]
    assert len(set(draws)) == 100 and set().union(*draws) == set(NAMES)
    assert draws[0] != drawn(other, 1, NAMES)


def test_those_who_rest_are_evaluated_and_not_lost(home: Path, bank: AdapterBank) -> None:  # noqa: F811
    config = settings(federation__participation=0.5)

    events = run(bank, in_process(bank, config), config)

    assert not [event for event in events if isinstance(event, HospitalLost)]
    for number in (1, 2, 3):
        here = [event for event in events if getattr(event, "round", 0) == number]
        asked = drawn(config, number, "ABC")
        assert [event.drawn for event in here if isinstance(event, RoundStarted)] == [asked]
        assert {event.hospital for event in here if isinstance(event, UpdateReceived)} == set(asked)
        assert [[one.hospital for one in event.weights] for event in here if isinstance(event, Aggregated)] == [list(asked)]
        assert [event.hospital for event in here if isinstance(event, Evaluated) and event.stage == "global"] == list("ABC")


@pytest.mark.slow
def test_a_run_that_goes_on_draws_the_same(home: Path, bank: AdapterBank) -> None:  # noqa: F811
    config = settings(federation__participation=0.5)
    hospitals = in_process(bank, config)
    with RunFolder("whole") as folder:
        whole = coordinator(bank, hospitals, config, folder, Position(bank.initial(config.seed)))
        list(whole.rounds())

    with RunFolder("cut") as folder:
        first = coordinator(bank, hospitals, config, folder, Position(bank.initial(config.seed)))
        rounds = first.rounds()
        while first.position.completed < 1:
            next(rounds)
        second = coordinator(bank, hospitals, config, folder, first.position)
        list(second.rounds())

    assert to_bytes(second.position.adapter) == to_bytes(whole.position.adapter)


def test_the_quorum_counts_those_who_were_asked(home: Path, bank: AdapterBank) -> None:  # noqa: F811
    config = settings(federation__participation=0.5)
    bad = Faulty(in_process(bank, config), {1: drawn(config, 1, "ABC")[0]}, DAMAGES["NaN"][1])

    with pytest.raises(Paused, match="1 of 2 hospitals are left in round 1, 2 are needed"):
        run(bank, bad, config)
