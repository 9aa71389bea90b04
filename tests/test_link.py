"""How a hospital's connection is told from the events of a run."""

from __future__ import annotations

import pytest

from engine.benchmark.results import Traffic
from engine.protocol import (
    AnyEvent,
    Fault,
    HospitalInfo,
    HospitalLost,
    RoundStarted,
    RunStarted,
    Stamped,
    StepDone,
    TrafficCounted,
    TrainingStarted,
    UpdateReceived,
)
from engine.settings import load_config
from fedmed_tui.link import link, traffic
from fedmed_tui.state import RunState

BEGIN = (
    RunStarted(
        run="r",
        config=load_config(overrides={"federation.name": "city"}),
        hospitals=(HospitalInfo(name="A", train=10, validation=2, test=2),),
    ),
    RoundStarted(round=1, rounds=2),
)
TRAINING = TrainingStarted(round=1, hospital="A", steps=2)
UPDATE = UpdateReceived(round=1, hospital="A", pairs=10, steps=2, loss=2.0, variance=0.1, bytes=100, tokens=9, seconds=1.0)


def state(*events: AnyEvent) -> RunState:
    run = RunState()
    for number, event in enumerate((*BEGIN, *events), start=1):
        run.apply(Stamped(seq=number, time=float(number), event=event))
    return run


def step(number: int) -> StepDone:
    return StepDone(round=1, hospital="A", step=number, steps=2, loss=2.0, tokens=1, seconds=1.0)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), "joined"),
        ((TRAINING,), "training"),
        ((TRAINING, step(1)), "training"),
        ((TRAINING, step(2)), "uploading"),
        ((TRAINING, step(2), UPDATE), "joined"),
    ],
)
def test_the_link_follows_a_hospital_through_a_round(events: tuple[AnyEvent, ...], expected: str) -> None:
    assert link(state(*events), "A") == expected


@pytest.mark.parametrize(("fault", "expected"), [("late", "late"), ("refused", "refused"), ("gone", "lost"), ("raised", "lost")])
def test_a_hospital_that_is_left_out_shows_why(fault: Fault, expected: str) -> None:
    lost = HospitalLost(round=1, hospital="A", during="training", kind=fault, reason="so it is")

    assert link(state(TRAINING, lost), "A") == expected


def test_a_hospital_that_was_not_drawn_rests() -> None:
    drawn = RoundStarted(round=2, rounds=2, drawn=("B",))

    assert link(state(TRAINING, step(2), UPDATE, drawn), "A") == "resting"


def test_traffic_is_the_ledgers() -> None:
    rows = (
        Traffic(round=1, hospital="A", direction="down", kind="adapter", values=1, bytes=300),
        Traffic(round=1, hospital="A", direction="down", kind="number", values=1, bytes=8),
        Traffic(round=1, hospital="A", direction="up", kind="adapter", values=1, bytes=100),
        Traffic(round=1, hospital="B", direction="up", kind="adapter", values=1, bytes=7),
    )

    assert traffic(state(TrafficCounted(round=1, rows=rows)), "A") == (308, 100)


def test_traffic_of_a_round_that_is_done_again_is_counted_once() -> None:
    page = TrafficCounted(round=1, rows=(Traffic(round=1, hospital="A", direction="up", kind="adapter", values=1, bytes=100),))

    assert traffic(state(page, *BEGIN, page), "A") == (0, 100)
