"""One loop, many jobs: whose turn is next.

A job is a generator of events; None means it did a piece of work and can pause here. Interactive jobs (a chat answer, a look at
data) go before all others. After one has ended, the others get one piece of work before the next may start: training slows under
chat but never stops for more than one answer. Jobs of one lane run one by one. Work on data (an import, a scan) has a lane
aside of the long jobs (a run, a benchmark) and takes turns with them, or it would wait for days.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Literal

from engine.protocol import AnyEvent, JobFinished, Outcome

Job = Generator[AnyEvent | None, None, None]
Lane = Literal["interactive", "aside", "background"]


class Cancelled(Exception):
    """Thrown into a job that is to stop. It may still state events, and must end."""


@dataclass
class _Entry:
    name: str
    job: Job
    cancelled: bool = False
    told: bool = field(default=False)


class Scheduler:
    """Steps jobs one piece at a time.

    Args:
        emit: takes each event.
        on_error: turns an exception that ended a job into what is said of it.
    """

    def __init__(self, emit: Callable[[AnyEvent], None], on_error: Callable[[str, Exception], None]) -> None:
        self._emit = emit
        self._on_error = on_error
        self._lanes: dict[Lane, deque[_Entry]] = {"interactive": deque(), "aside": deque(), "background": deque()}
        self._owed = False
        """An interactive job has ended: the others have a turn."""
        self._last: Lane = "aside"
        """Which of the other lanes had the last turn."""

    @property
    def idle(self) -> bool:
        """Nothing to do."""
        return not any(self._lanes.values())

    def add(self, name: str, job: Job, lane: Lane) -> None:
        """Queue a job."""
        self._lanes[lane].append(_Entry(name, job))

    def cancel(self, name: str) -> None:
        """Mark a job to be stopped at its next turn."""
        for entry in self._entries():
            if entry.name == name:
                entry.cancelled = True

    def cancel_all(self) -> None:
        """Mark every job."""
        for entry in self._entries():
            entry.cancelled = True

    def step(self) -> None:
        """Do one piece of work of the job whose turn it is."""
        lane = self._whose_turn()
        entry = self._lanes[lane][0]
        if lane != "interactive":
            self._owed, self._last = False, lane
        try:
            if (item := self._advance(entry)) is not None:
                self._emit(item)
        except StopIteration:
            self._finish(lane, "cancelled" if entry.cancelled else "done")
        except Cancelled:
            self._finish(lane, "cancelled")
        except Exception as error:  # whatever ended a job, the engine goes on and says so
            self._on_error(entry.name, error)
            self._finish(lane, "failed")

    def _entries(self) -> list[_Entry]:
        return [entry for lane in self._lanes.values() for entry in lane]

    def _whose_turn(self) -> Lane:
        others: list[Lane] = ["aside", "background"] if self._last == "background" else ["background", "aside"]
        waiting = [lane for lane in others if self._lanes[lane]]
        for lane in waiting:
            if self._lanes[lane][0].cancelled:
                return lane
        return waiting[0] if waiting and (self._owed or not self._lanes["interactive"]) else "interactive"

    @staticmethod
    def _advance(entry: _Entry) -> AnyEvent | None:
        if entry.cancelled and not entry.told:
            entry.told = True
            return entry.job.throw(Cancelled())
        return next(entry.job)

    def _finish(self, lane: Lane, outcome: Outcome) -> None:
        entry = self._lanes[lane].popleft()
        if lane == "interactive":
            self._owed = True
        self._emit(JobFinished(job=entry.name, outcome=outcome))
