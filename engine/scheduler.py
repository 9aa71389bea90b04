"""One loop, many jobs: whose turn is next.

A job is a generator of events; None means it did a piece of work and can pause here. Interactive jobs (a chat answer, a look at
data) go before background jobs (a run, an import). After an interactive job has ended, the background gets one piece of work
before the next interactive job may start, so that training slows under chat but never stops for more than one answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from engine.protocol import AnyEvent, JobFinished, Outcome

Job = Generator[AnyEvent | None, None, None]


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
        self._interactive: deque[_Entry] = deque()
        self._background: deque[_Entry] = deque()
        self._background_owed = False

    @property
    def idle(self) -> bool:
        """Nothing to do."""
        return not self._interactive and not self._background

    def add(self, name: str, job: Job, *, interactive: bool) -> None:
        """Queue a job."""
        (self._interactive if interactive else self._background).append(_Entry(name, job))

    def cancel(self, name: str) -> None:
        """Mark a job to be stopped at its next turn."""
        for entry in (*self._interactive, *self._background):
            if entry.name == name:
                entry.cancelled = True

    def cancel_all(self) -> None:
        """Mark every job."""
        for entry in (*self._interactive, *self._background):
            entry.cancelled = True

    def step(self) -> None:
        """Do one piece of work of the job whose turn it is."""
        queue = self._background if self._background_turn() else self._interactive
        entry = queue[0]
        if queue is self._background:
            self._background_owed = False
        try:
            item = self._advance(entry)
        except StopIteration:
            self._finish(queue, "cancelled" if entry.cancelled else "done")
        except Cancelled:
            self._finish(queue, "cancelled")
        except Exception as error:  # whatever ended a job, the engine goes on and says so
            self._on_error(entry.name, error)
            self._finish(queue, "failed")
        else:
            if item is not None:
                self._emit(item)

    def _background_turn(self) -> bool:
        return bool(self._background) and (self._background_owed or not self._interactive or self._background[0].cancelled)

    @staticmethod
    def _advance(entry: _Entry) -> AnyEvent | None:
        if entry.cancelled and not entry.told:
            entry.told = True
            return entry.job.throw(Cancelled())
        return next(entry.job)

    def _finish(self, queue: deque[_Entry], outcome: Outcome) -> None:
        entry = queue.popleft()
        if queue is self._interactive:
            self._background_owed = True
        self._emit(JobFinished(job=entry.name, outcome=outcome))
