"""Hospitals that misbehave on purpose, in this process: they raise, are slow, or hang."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import torch

from engine.federated.hospital import Hospital
from engine.federated.update import Assessment, Assignment
from engine.model.adapters import Adapter
from engine.protocol import Duty
from tests.engine.faults import RECORD_TEXT

Work = Generator[Any, None, Any]

DEADLINE_S = 900.0
A_MOMENT_S = 0.02


class Clock:
    """Stands still until somebody dawdles."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def dawdle(self) -> None:
        self.now += 1000.0


class Misbehaving(Hospital):
    """A hospital whose work of one kind goes wrong in the rounds that `when` gives to it: after its first micro-step."""

    def __init__(
        self,
        *args: Any,
        when: Mapping[int, str],
        act: Callable[[], object],
        during: Duty = "training",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._when, self._act, self._during = when, act, during
        self._round = 0

    def train(self, assignment: Assignment) -> Work:
        self._round = assignment.round
        return self._odd("training", super().train(assignment))

    def evaluate(self, adapter: Adapter) -> Work:
        return self._odd("evaluation", super().evaluate(adapter))

    def assess(self, assessment: Assessment) -> Work:
        return self._odd("judging", super().assess(assessment))

    def _odd(self, duty: Duty, work: Work) -> Work:
        due = duty == self._during and self._when.get(self._round) == self.name
        for item in (result := Kept(work)):
            yield item
            if due and item is None:
                yield from self._goes_wrong()
        return result.value

    def _goes_wrong(self) -> Work:
        self._act()
        yield None


class Hanging(Misbehaving):
    """Works until shortly before the deadline, then hangs."""

    def __init__(self, *args: Any, clock: Clock, hang: Callable[[], object], **kwargs: Any) -> None:
        super().__init__(*args, act=hang, **kwargs)
        self._clock = clock

    def _goes_wrong(self) -> Work:
        self._clock.now += DEADLINE_S - A_MOMENT_S
        yield None
        yield from super()._goes_wrong()


class Kept:
    """A generator to iterate over; what it returned is kept."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.value: Any = None

    def __iter__(self) -> Iterator[Any]:
        self.value = yield from self._work


def fail() -> None:
    raise ValueError(f"could not tokenize {RECORD_TEXT!r}")


def run_out() -> None:
    raise MemoryError(RECORD_TEXT)


def run_out_of_accelerator() -> None:
    raise torch.OutOfMemoryError(RECORD_TEXT)


def sleep() -> None:
    time.sleep(10_000)


def loop() -> None:
    while True:
        pass


def read() -> None:
    end, _ = os.pipe()
    os.read(end, 1)


def swallow() -> None:
    """As a bare `except` around a wait would."""
    try:
        time.sleep(10_000)
    except BaseException:
        time.sleep(10_000)


HANGS: dict[str, Callable[[], object]] = {
    "sleeps": sleep,
    "loops": loop,
    "reads what never comes": read,
    "swallows what ends it": swallow,
}

FAILURES: dict[str, tuple[str, Callable[[], object]]] = {
    "raises": ("raised", fail),
    "runs out of memory": ("raised", run_out),
    "runs out of accelerator memory": ("raised", run_out_of_accelerator),
}
