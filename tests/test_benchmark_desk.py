"""What the Benchmark screen knows of a run in progress."""

from __future__ import annotations

import pytest

from engine.protocol import HospitalInfo, RoundFinished, RunFinished, RunStarted, Stamped, UpdateReceived
from engine.settings import load_config
from fedmed_tui import benchmark_desk
from fedmed_tui.benchmark_desk import FOLLOW_SECONDS, LONG, BenchmarkDesk
from fedmed_tui.engine_client import EngineClient
from fedmed_tui.state import RunState

ROUND_SECONDS = 2.0


class Clock:
    """Time as the test wants it."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(benchmark_desk, "time", clock)
    return clock


@pytest.fixture
def long_run() -> RunState:
    """A run in progress with a few rounds more than count as long."""
    run = RunState()
    started = RunStarted(run="r", config=load_config(), hospitals=(HospitalInfo(name="A", train=9, validation=1, test=1),))
    run.apply(Stamped(seq=1, time=0.0, event=started))
    for number in range(1, LONG + 3):
        one_more_round(run, number)
    return run


def one_more_round(run: RunState, number: int) -> None:
    update = UpdateReceived(
        round=number, hospital="A", pairs=9, steps=1, loss=2.0, variance=0.0, bytes=10, tokens=100, seconds=1.0
    )
    done = RoundFinished(round=number, rounds=9999, before=2.0, after=1.9, seconds=ROUND_SECONDS)
    for event in (update, done):
        run.apply(Stamped(seq=run.last_seq + 1, time=0.0, event=event))


def seconds_told(desk: BenchmarkDesk, run: RunState) -> float:
    """Time in rounds, as the Speed panel has it."""
    speed = desk.sections(run).speed
    assert speed is not None
    return speed.run_seconds


def nobody() -> EngineClient:
    raise AssertionError("no engine is needed")


@pytest.fixture
def desk() -> BenchmarkDesk:
    return BenchmarkDesk(nobody, str, lambda: None)


def test_the_record_of_a_long_run_is_read_again_after_a_while(clock: Clock, long_run: RunState, desk: BenchmarkDesk) -> None:
    before = seconds_told(desk, long_run)
    one_more_round(long_run, LONG + 3)
    soon = seconds_told(desk, long_run)
    clock.now += FOLLOW_SECONDS
    later = seconds_told(desk, long_run)

    assert (soon, later) == (before, before + ROUND_SECONDS)


def test_a_long_run_that_has_ended_is_told_to_its_end(clock: Clock, long_run: RunState, desk: BenchmarkDesk) -> None:
    before = seconds_told(desk, long_run)
    one_more_round(long_run, LONG + 3)
    ended = RunFinished(run="r", outcome="done", completed=LONG + 3, rounds=LONG + 3, folder="", seconds=0.0)
    long_run.apply(Stamped(seq=long_run.last_seq + 1, time=0.0, event=ended))

    assert seconds_told(desk, long_run) == before + ROUND_SECONDS
