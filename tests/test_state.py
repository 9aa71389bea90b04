"""The reducer: what is known of a run follows from its events alone."""

from __future__ import annotations

import pytest

from engine.protocol import (
    Aggregated,
    AnyEvent,
    Evaluated,
    HospitalInfo,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunStarted,
    Stamped,
    StepDone,
    TrainingStarted,
    UpdateReceived,
)
from engine.settings import load_config
from fedmed_tui.pace import ASSUMED, fraction, round_fraction, seconds_left
from fedmed_tui.state import RunState

HOSPITALS = tuple(HospitalInfo(name=name, train=9, validation=3, test=3) for name in "AB")


def started(completed: int = 0) -> RunStarted:
    config = load_config(overrides={"training.rounds": 4})
    return RunStarted(run="r", config=config, hospitals=HOSPITALS, completed=completed)


def finished(number: int) -> RoundFinished:
    return RoundFinished(round=number, rounds=4, before=2.0, after=1.0, seconds=10.0)


def evaluated(number: int, hospital: str, loss: float) -> Evaluated:
    return Evaluated(round=number, hospital=hospital, stage="global", loss=loss, pairs=3, tokens=30)


def updated(number: int, hospital: str) -> UpdateReceived:
    return UpdateReceived(
        round=number, hospital=hospital, pairs=9, steps=2, loss=1.0, variance=0.0, bytes=10, tokens=10, seconds=1.0
    )


def aggregated(number: int) -> Aggregated:
    return Aggregated(round=number, weighting="samples", combine="exact", weights=(), reason="")


Timed = list[tuple[float, AnyEvent]]


def state_after(*events: tuple[float, AnyEvent]) -> RunState:
    state = RunState()
    for seq, (time, event) in enumerate(events, start=1):
        state.apply(Stamped(seq=seq, time=time, event=event))
    return state


def test_a_mean_over_hospitals_is_shown_only_where_every_hospital_was_evaluated() -> None:
    state = state_after((0, started()), (1, evaluated(1, "A", 2.0)), (2, evaluated(1, "B", 3.0)), (3, evaluated(2, "A", 1.0)))

    assert state.macro_series() == {1: 2.5}


def test_nothing_is_promised_in_the_first_round() -> None:
    state = state_after(
        (0, started()), (0, RoundStarted(round=1, rounds=4)), (9, TrainingStarted(round=1, hospital="A", steps=2))
    )

    assert seconds_left(state, now=9) is None


def a_round(number: int, start: float, *, training: float = 60, judging: float = 30, evaluating: float = 10) -> Timed:
    """A whole round of hospitals A and B, whose parts take so many seconds."""
    trained, judged, end = start + training, start + training + judging, start + training + judging + evaluating
    return [*trained_until(number, start, trained), (judged, aggregated(number)), (end, finished(number))]


def trained_until(number: int, start: float, end: float) -> Timed:
    """A round up to its last update."""
    return [(start, RoundStarted(round=number, rounds=4)), *((end, updated(number, name)) for name in "AB")]


def halfway(number: int, start: float) -> Timed:
    """Hospital A of two has trained."""
    step = StepDone(round=number, hospital="A", step=2, steps=2, loss=1.0, tokens=10, seconds=1.0)
    return [(start, RoundStarted(round=number, rounds=4)), (start + 10, step)]


def test_the_time_left_counts_training_judging_and_evaluating() -> None:
    state = state_after((0, started()), *a_round(1, 0), *halfway(2, 100))

    assert seconds_left(state, now=110) == 30 + 30 + 10 + 2 * 100


def test_the_time_left_goes_down_while_the_updates_are_judged() -> None:
    state = state_after((0, started()), *a_round(1, 0), *trained_until(2, 100, 160))

    assert [seconds_left(state, now=now) for now in (160, 170, 200)] == [240, 230, 210]


def test_the_time_left_goes_down_with_every_evaluation() -> None:
    judged = [*trained_until(2, 100, 160), (190.0, aggregated(2)), (195.0, evaluated(2, "A", 2.0))]

    state = state_after((0, started()), *a_round(1, 0), *judged)

    assert seconds_left(state, now=195) == 5 + 200


def test_the_first_round_sets_the_pace_only_until_there_is_another() -> None:
    state = state_after((0, started()), *a_round(1, 0, training=460), *a_round(2, 500), *halfway(3, 600))

    assert seconds_left(state, now=610) == 30 + 30 + 10 + 100


def test_time_spent_stopped_does_not_slow_the_pace() -> None:
    before: Timed = [(0, started()), *a_round(1, 0, training=8000)]

    state = state_after(*before, (9000, started(completed=1)), *a_round(2, 9000), *halfway(3, 9100))

    assert seconds_left(state, now=9110) == 30 + 30 + 10 + 100


def test_a_run_whose_updates_are_still_judged_is_not_told_as_done() -> None:
    rounds = [event for number in (1, 2, 3) for event in a_round(number, 100.0 * number)]
    state = state_after((0, started()), *rounds, *trained_until(4, 400, 460))

    assert fraction(state, now=460) == pytest.approx((3 + 0.6) / 4)
    assert fraction(state, now=475) == pytest.approx((3 + 0.75) / 4)


def test_only_a_finished_run_is_told_as_done() -> None:
    rounds = [event for number in (1, 2, 3, 4) for event in a_round(number, 100.0 * number)]
    ended = RunFinished(run="r", outcome="done", completed=4, rounds=4, folder="f", seconds=400.0)

    assert fraction(state_after((0, started()), *rounds), now=500) < 0.995
    assert fraction(state_after((0, started()), *rounds, (501, ended)), now=501) == 1


def test_a_round_cut_short_is_forgotten_when_the_run_goes_on() -> None:
    state = state_after((0, started()), (0, RoundStarted(round=1, rounds=4)), (5, finished(1)), *halfway(2, 5), (50, started(1)))

    assert list(state.rounds) == [1]
    assert state.completed == 1


def test_a_round_is_done_when_those_who_were_drawn_are() -> None:
    step = StepDone(round=1, hospital="A", step=1, steps=2, loss=1.0, tokens=10, seconds=1.0)

    state = state_after((0, started()), (0, RoundStarted(round=1, rounds=4, drawn=("A",))), (5, step))

    assert round_fraction(state, now=5) == pytest.approx(ASSUMED[0] / 2)
    assert [state.rounds[1].rests(name) for name in "AB"] == [False, True]
    assert state.feed[-1].text == "Round 1 of 4: A trains from the same global adapter; the other hospitals rest."
