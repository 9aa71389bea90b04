"""Work that blocks does not hold the engine's loop up: not while it goes on, and not when it is given up."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from engine.errors import FederationError
from engine.federated.flare.question import in_thread


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Work that waits for it goes on until the test has ended."""
    event = threading.Event()
    yield event
    event.set()


def test_the_result_of_the_work_comes_back() -> None:
    work = in_thread(lambda: 7)

    with pytest.raises(StopIteration) as end:
        while True:
            next(work)

    assert end.value.value == 7


def test_work_that_takes_too_long_is_not_waited_for(gate: threading.Event) -> None:
    with pytest.raises(FederationError, match="no answer"):
        list(in_thread(gate.wait, seconds=0.05))


def test_work_whose_job_is_stopped_is_not_waited_for(gate: threading.Event) -> None:
    given_up: list[bool] = []
    work = in_thread(gate.wait, give_up=lambda: given_up.append(True))
    next(work)

    work.close()

    assert given_up == [True]


def test_an_error_of_the_work_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_thread(lambda: 1 // 0))
