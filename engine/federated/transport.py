"""How the coordinator reaches hospitals. One implementation works in this process; the interface is all the coordinator knows."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Protocol

from engine.federated.hospital import Hospital
from engine.federated.update import Assessment, Assignment, Evaluation, Update, Verdict
from engine.model.adapters import Adapter
from engine.protocol import AnyEvent, HospitalInfo

Training = Generator[AnyEvent | Update | None, None, None]
Evaluating = Generator[Evaluation | None, None, None]
Assessing = Generator[Verdict | None, None, None]


class Transport(Protocol):
    """Hospitals, wherever they are. Results are yielded as they come; None means one micro-step was done."""

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        """Who takes part, sorted by name."""
        ...

    def train(self, assignment: Assignment) -> Training:
        """Let every hospital train one round; yields its events and, when done, its Update."""
        ...

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        """Let each named hospital evaluate the adapter given for it; yields Evaluations."""
        ...

    def assess(self, assessment: Assessment) -> Assessing:
        """Let each hospital named in `assessment.tokens` try the candidates; yields Verdicts."""
        ...


class InProcess:
    """All hospitals in this process, one after the other on one base model."""

    def __init__(self, hospitals: list[Hospital]) -> None:
        self._hospitals = {hospital.name: hospital for hospital in sorted(hospitals, key=lambda one: one.name)}

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        """Who takes part, sorted by name."""
        return tuple(hospital.info for hospital in self._hospitals.values())

    def train(self, assignment: Assignment) -> Training:
        """Train hospital after hospital."""
        for hospital in self._hospitals.values():
            update = yield from hospital.train(assignment)
            yield update

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        """Evaluate hospital after hospital."""
        for name in sorted(adapters):
            evaluation = yield from self._hospitals[name].evaluate(adapters[name])
            yield evaluation

    def assess(self, assessment: Assessment) -> Assessing:
        """Ask hospital after hospital."""
        for name in sorted(assessment.tokens):
            verdict = yield from self._hospitals[name].assess(assessment)
            yield verdict
