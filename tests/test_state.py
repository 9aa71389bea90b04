"""The reducer: what is known of a run follows from its events alone."""

from __future__ import annotations

from engine.protocol import (
    AnyEvent,
    Evaluated,
    HospitalInfo,
    RoundFinished,
    RoundStarted,
    RunStarted,
    Stamped,
    StepDone,
    TrainingStarted,
)
from engine.settings import load_config
from fedmed_tui.state import RunState

HOSPITALS = tuple(HospitalInfo(name=name, train=9, validation=3, test=3) for name in "AB")


def started(completed: int = 0) -> RunStarted:
    config = load_config(overrides={"training.rounds": 4})
    return RunStarted(run="r", config=config, hospitals=HOSPITALS, completed=completed)


def finished(number: int) -> RoundFinished:
    return RoundFinished(round=number, rounds=4, before=2.0, after=1.0, seconds=10.0)


def evaluated(number: int, hospital: str, loss: float) -> Evaluated:
    return Evaluated(round=number, hospital=hospital, stage="global", loss=loss, pairs=3, tokens=30)


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

    assert state.seconds_left(now=9) is None


def halfway(number: int, start: float) -> list[tuple[float, AnyEvent]]:
    """Hospital A of two has trained."""
    step = StepDone(round=number, hospital="A", step=2, steps=2, loss=1.0, tokens=10, seconds=1.0)
    return [(start, RoundStarted(round=number, rounds=4)), (start + 10, step)]


def test_the_time_left_follows_the_pace_of_the_later_rounds() -> None:
    state = state_after((0, started()), (0, RoundStarted(round=1, rounds=4)), (500, finished(1)), *halfway(2, 500))

    assert state.seconds_left(now=510) == 50  # half a round in 10 s, two and a half to go


def test_no_time_is_told_for_what_follows_the_last_training() -> None:
    trained = [(20.0, StepDone(round=4, hospital=name, step=2, steps=2, loss=1.0, tokens=10, seconds=1.0)) for name in ("A", "B")]
    begun: list[tuple[float, AnyEvent]] = [(3.0 * number, RoundStarted(round=number, rounds=4)) for number in (1, 2, 3, 4)]
    state = state_after((0, started()), *begun, *trained)

    assert state.seconds_left(now=21) is None


def test_time_spent_stopped_does_not_slow_the_pace() -> None:
    before = [(0.0, started()), (0.0, RoundStarted(round=1, rounds=4)), (100.0, finished(1)), *halfway(2, 100.0)]
    after = [
        (9000.0, started(completed=1)),
        (9000.0, RoundStarted(round=2, rounds=4)),
        (9100.0, finished(2)),
        *halfway(3, 9100.0),
    ]

    state = state_after(*before, *after)

    assert state.seconds_left(now=9110) == 30


def test_a_round_cut_short_is_forgotten_when_the_run_goes_on() -> None:
    state = state_after((0, started()), (0, RoundStarted(round=1, rounds=4)), (5, finished(1)), *halfway(2, 5), (50, started(1)))

    assert list(state.rounds) == [1]
    assert state.completed == 1


def test_a_round_is_done_when_those_who_were_drawn_are() -> None:
    step = StepDone(round=1, hospital="A", step=1, steps=2, loss=1.0, tokens=10, seconds=1.0)

    state = state_after((0, started()), (0, RoundStarted(round=1, rounds=4, drawn=("A",))), (5, step))

    assert state.round_fraction() == 0.5
    assert [state.rounds[1].rests(name) for name in "AB"] == [False, True]
    assert state.feed[-1].text == "Round 1 of 4: A trains from the same global adapter; the other hospitals rest."
