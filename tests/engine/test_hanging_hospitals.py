"""A hospital of this process that hangs past the deadline is ended and left out; nothing that others use is harmed by it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import alarm, locations
from engine.alarm import Alarm, Overdue, whole
from engine.federated.hospital import Hospital
from engine.federated.update import Assignment
from engine.model.adapters import AdapterBank, to_bytes
from engine.protocol import Aggregated, AnyEvent, Duty, HospitalLost, RoundFinished, UpdateReceived
from tests.engine.odd_hospitals import DEADLINE_S, HANGS, Clock, Hanging, loop, sleep
from tests.engine.test_faulty_hospitals import WHEN, in_process, run, settings

AGENT = {"aggregation__weighting": "agent", "aggregation__evaluation_share": 5.0, "data__validation_pairs": 8}
"""Hospitals judge each other."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm, "PATIENCE_S", 0.0)


def hung_run(bank: AdapterBank, during: Duty, hang: Callable[[Clock], object]) -> tuple[list[AnyEvent], bytes]:
    """A run in which B, C and B hang in the first, a middle and the last round: its events and its last adapter."""
    config, clock = settings(federation__deadline_s=DEADLINE_S, **(AGENT if during == "judging" else {})), Clock()
    folder, stuck = locations.sample_folder(), lambda: hang(clock)
    odd = [Hanging(name, folder, config, when=WHEN, during=during, clock=clock, hang=stuck) for name in "BC"]
    events = run(bank, in_process(bank, config, *odd, clock=clock), config)
    return events, (locations.run_folder("run") / "rounds/003/global.safetensors").read_bytes()


def told(events: list[AnyEvent]) -> list[Any]:
    """Who was lost and why, and how the others were weighed."""
    lost = [event for event in events if isinstance(event, HospitalLost)]
    return [*lost, *(event.weights for event in events if isinstance(event, Aggregated))]


@pytest.mark.parametrize("during", ["training", "evaluation", "judging"])
@pytest.mark.parametrize("hang", [sleep, loop])
def test_a_run_with_a_hospital_that_hangs_ends_as_one_with_a_hospital_that_is_late(
    home: Path, bank: AdapterBank, during: Duty, hang: Callable[[], object]
) -> None:
    slow, slow_adapter = hung_run(bank, during, Clock.dawdle)

    hung, hung_adapter = hung_run(bank, during, lambda clock: hang())

    lost = [(event.round, event.hospital, event.kind, event.during) for event in hung if isinstance(event, HospitalLost)]
    assert sorted(set(lost)) == [(number, name, "late", during) for number, name in WHEN.items()]
    assert told(hung) == told(slow)
    assert hung_adapter == slow_adapter
    assert [event.round for event in hung if isinstance(event, RoundFinished)] == [1, 2, 3]


def test_a_hospital_that_hung_takes_part_in_the_next_round(home: Path, bank: AdapterBank) -> None:
    events, _ = hung_run(bank, "training", lambda clock: sleep())

    sent = {
        number: {one.hospital for one in events if isinstance(one, UpdateReceived) and one.round == number} for number in WHEN
    }
    assert sent == {1: {"A", "C"}, 2: {"A", "B"}, 3: {"A", "C"}}


def test_a_deadline_that_everybody_meets_changes_no_bit(home: Path, bank: AdapterBank) -> None:
    adapters = []
    for deadline in (0.0, DEADLINE_S):
        config = settings(federation__deadline_s=deadline)
        run(bank, in_process(bank, config), config)
        adapters.append((locations.run_folder("run") / "rounds/003/global.safetensors").read_bytes())

    assert adapters[0] == adapters[1]


def test_work_ended_at_any_moment_leaves_the_model_as_it_was(home: Path, bank: AdapterBank) -> None:
    config, draw, rung = settings(), random.Random(1), Alarm()
    hospital = Hospital("A", locations.sample_folder(), config)
    hospital.attach(bank)
    task = Assignment(round=1, start=bank.initial(config.seed))
    before = last_of(hospital.train(task))
    ended = 0

    for _ in range(60):
        try:
            last_of(stepped(rung, hospital.train(task), draw.uniform(0.0, 0.03)))
        except Overdue:
            ended += 1

    assert ended > 0
    assert to_bytes(last_of(hospital.train(task)).adapter) == to_bytes(before.adapter)


def stepped(rung: Alarm, work: Iterator[Any], seconds: float) -> Iterator[Any]:
    while True:
        try:
            yield rung.step(work, seconds)
        except StopIteration as end:
            return end.value


def last_of(work: Any) -> Any:
    """What the work returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


# --- the alarm by itself ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hang", HANGS)
def test_every_hang_that_the_interpreter_sees_is_ended(hang: str) -> None:
    with pytest.raises(Overdue):
        Alarm().step(map(lambda act: act(), [HANGS[hang]]), 0.01)


def test_what_must_stay_whole_is_done_before_the_work_is_ended() -> None:
    done = []

    @whole
    def change() -> None:
        spin(0.3)
        done.append("changed")

    def work() -> Iterator[None]:
        change()
        sleep()
        yield

    with pytest.raises(Overdue):
        Alarm().step(work(), 0.01)
    assert done == ["changed"]


def test_blocks_are_entered_and_left_as_a_whole() -> None:
    done = []

    @contextmanager
    def block() -> Iterator[None]:
        spin(0.3)
        done.append("entered")
        try:
            yield
        finally:
            spin(0.3)
            done.append("left")

    def work() -> Iterator[None]:
        with block():
            sleep()
        yield

    with pytest.raises(Overdue):
        Alarm().step(work(), 0.01)
    assert done == ["entered", "left"]


def spin(seconds: float) -> None:
    """Python work, in which the alarm is heard."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_a_signal_that_comes_late_ends_nothing() -> None:
    rung = Alarm()
    rung.step(iter("a"), 900.0)

    def next_work() -> Iterator[str]:
        os.kill(os.getpid(), signal.SIGALRM)  # as the timer of the step before might
        spin(0.05)
        yield "b"

    os.kill(os.getpid(), signal.SIGALRM)
    spin(0.05)
    assert rung.step(next_work(), 900.0) == "b"


def test_without_signals_work_is_done_without_a_limit() -> None:
    heard: list[str] = []
    thread = threading.Thread(target=lambda: heard.append(Alarm().step(iter("a"), 0.0)))

    thread.start()
    thread.join()

    assert heard == ["a"]


NATIVE_HANG = """
from collections import deque
from itertools import repeat
from engine import alarm
alarm.PATIENCE_S = alarm.NATIVE_S = 0.1
def work():
    yield deque(repeat(1), maxlen=0)  # a loop in C, which keeps the interpreter's lock
alarm.Alarm().step(work(), 0.1)
"""


def test_a_native_call_that_never_returns_ends_the_process_with_its_stack_in_the_log() -> None:
    ended = subprocess.run([sys.executable, "-c", NATIVE_HANG], capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "line 7 in work" in ended.stderr
