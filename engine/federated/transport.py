"""How the coordinator reaches hospitals. One implementation works in this process; the interface is all the coordinator knows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Protocol, TypeVar

from engine.alarm import Alarm, Overdue
from engine.errors import FederationError, log_unexpected
from engine.federated.hospital import Hospital
from engine.federated.update import Assessment, Assignment, Evaluation, Lost, Update, Verdict, lost_by
from engine.model.adapters import Adapter
from engine.protocol import AnyEvent, HospitalInfo

Training = Generator[AnyEvent | Update | Lost | None, None, None]
Evaluating = Generator[Evaluation | Lost | None, None, None]
Assessing = Generator[Verdict | Lost | None, None, None]

Item = TypeVar("Item")
Result = TypeVar("Result")


class NotReady(FederationError):
    """A run cannot begin: hospitals are away, refuse, or have something else."""

    def __init__(self, message: str, lost: Sequence[Lost], *, where: str, hint: str) -> None:
        super().__init__(message, where=where, hint=hint)
        self.lost = tuple(lost)


class Transport(Protocol):
    """Hospitals, wherever they are. Results are yielded as they come; None means one micro-step was done.

    A hospital that fails, misses the deadline or cannot be reached is yielded as `Lost` in place of its result, and asked again
    the next time. Nothing that goes wrong at a hospital is raised. What a hospital sends is passed on as it is: whoever receives
    it checks it (`engine.federated.checks`).
    """

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        """Who takes part, sorted by name."""
        ...

    def train(self, assignment: Assignment) -> Training:
        """Let every hospital that the assignment asks train one round; yields its events and then its Update or Lost."""
        ...

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        """Let each named hospital evaluate the adapter given for it; yields an Evaluation or a Lost for each."""
        ...

    def assess(self, assessment: Assessment) -> Assessing:
        """Let each hospital named in `assessment.tokens` try the candidates; yields a Verdict or a Lost for each."""
        ...


class InProcess:
    """All hospitals in this process, one after the other on one base model.

    Args:
        deadline_s: seconds of its own work after which a hospital is late, looked at after each micro-step; 0 is no limit. A
            micro-step that hangs is ended (`engine.alarm`).
        clock: seconds that only go forward.
    """

    def __init__(self, hospitals: list[Hospital], deadline_s: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._hospitals = {hospital.name: hospital for hospital in sorted(hospitals, key=lambda one: one.name)}
        self._deadline_s = deadline_s or math.inf
        self._clock = clock
        self._alarm = Alarm()

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        """Who takes part, sorted by name."""
        return tuple(hospital.info for hospital in self._hospitals.values())

    def train(self, assignment: Assignment) -> Training:
        """Train hospital after hospital."""
        for name, hospital in self._hospitals.items():
            if assignment.asks(name):
                yield (yield from self._contained(name, hospital.train(assignment)))

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        """Evaluate hospital after hospital."""
        for name in sorted(adapters):
            yield (yield from self._contained(name, self._hospitals[name].evaluate(adapters[name])))

    def assess(self, assessment: Assessment) -> Assessing:
        """Ask hospital after hospital."""
        for name in sorted(assessment.tokens):
            yield (yield from self._contained(name, self._hospitals[name].assess(assessment)))

    def _contained(self, name: str, work: Generator[Item, None, Result]) -> Generator[Item, None, Result | Lost]:
        """The work's result; whatever ends it otherwise ends it for this hospital alone. Its details go to the log."""
        busy = 0.0
        while True:
            started = self._clock()
            try:
                item = self._alarm.step(work, self._deadline_s - busy)
            except StopIteration as end:
                result: Result = end.value
                return result
            except Exception as error:
                log_unexpected(error)
                return lost_by(name, error)
            except Overdue as hang:
                log_unexpected(hang)
                return self._late(name)
            busy += self._clock() - started
            if busy > self._deadline_s:
                work.close()
                return self._late(name)
            yield item

    def _late(self, name: str) -> Lost:
        return Lost(name, "late", f"it was not done after {self._deadline_s:g} s of work")
