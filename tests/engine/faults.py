"""Answers that are damaged on purpose: a transport that damages one hospital's answers in one round."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from engine.federated.flare import answers, wire
from engine.federated.flare.channel import Answer
from engine.federated.local import truncated
from engine.federated.transport import Assessing, Evaluating, Training, Transport
from engine.federated.update import Assessment, Assignment, Evaluation, Lost, Update, Verdict
from engine.model.adapters import Adapter
from engine.protocol import HospitalInfo

RECORD_TEXT = "Mrs Smith, born 1961, has diabetes"

Damage = Callable[["Faulty", Update, Assignment], Update | Lost]


@dataclass
class Faulty:
    """As `inner`, but in the rounds of `when` one hospital's update is damaged."""

    inner: Transport
    when: Mapping[int, str]
    """Round → hospital."""
    damage: Damage
    now: dict[str, Update] = field(default_factory=dict)
    """This round's updates so far."""
    before: dict[str, Update] = field(default_factory=dict)
    """Last round's."""

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        return self.inner.hospitals()

    def train(self, assignment: Assignment) -> Training:
        self.before, self.now = self.now, {}
        for item in self.inner.train(assignment):
            if isinstance(item, Update):
                self.now[item.hospital] = item
                if item.hospital == self.when.get(assignment.round):
                    yield self.damage(self, item, assignment)
                    continue
            yield item

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        return self.inner.evaluate(adapters)

    def assess(self, assessment: Assessment) -> Assessing:
        return self.inner.assess(assessment)


@dataclass
class FaultyEvaluations:
    """As `inner`, but in the rounds of `when` one hospital's evaluations are damaged."""

    inner: Transport
    when: Mapping[int, str]
    """Round → hospital."""
    figures: Mapping[str, float]
    """What it says instead."""
    round: int = 0

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        return self.inner.hospitals()

    def train(self, assignment: Assignment) -> Training:
        self.round = assignment.round
        return self.inner.train(assignment)

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        for item in self.inner.evaluate(adapters):
            odd = isinstance(item, Evaluation) and item.hospital == self.when.get(self.round)
            yield replace(item, **self.figures) if odd else item

    def assess(self, assessment: Assessment) -> Assessing:
        return self.inner.assess(assessment)


@dataclass
class Wired:
    """As `inner`, but every update, evaluation and verdict crosses as a federation's message does."""

    inner: Transport

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        return self.inner.hospitals()

    def train(self, assignment: Assignment) -> Training:
        for item in self.inner.train(assignment):
            yield _carried(item) if isinstance(item, Update) else item

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        for item in self.inner.evaluate(adapters):
            yield answers.evaluation(_sent(wire.Measured, item, item.hospital)) if isinstance(item, Evaluation) else item

    def assess(self, assessment: Assessment) -> Assessing:
        for item in self.inner.assess(assessment):
            yield answers.verdict(_sent(wire.Judged, item, item.voter)) if isinstance(item, Verdict) else item


def _carried(update: Update) -> Update | Lost:
    return answers.update(_sent(wire.Trained, update, update.hospital, {"adapter": update.adapter, "gradient": update.gradient}))


def _sent(kind: type[Any], result: object, site: str, groups: Mapping[str, Adapter] | None = None) -> Answer:
    header = kind(**{name: getattr(result, name) for name in kind.__struct_fields__})
    return Answer(number=1, site=site, payload=wire.pack(header, dict(groups or {})))


def _filled(value: float) -> Damage:
    def damage(_: Faulty, update: Update, task: Assignment) -> Update:
        first = next(iter(update.adapter))
        spoilt = update.adapter[first].clone()
        spoilt[0, 0] = value
        return replace(update, adapter=update.adapter | {first: spoilt})

    return damage


def _wrong_shape(_: Faulty, update: Update, task: Assignment) -> Update:
    first = next(iter(update.adapter))
    return replace(update, adapter=update.adapter | {first: torch.zeros(3, 5)})


def _wrong_names(_: Faulty, update: Update, task: Assignment) -> Update:
    return replace(update, adapter={f"{RECORD_TEXT}{name}": tensor for name, tensor in update.adapter.items()})


def _unchanged(_: Faulty, update: Update, task: Assignment) -> Update:
    return replace(update, adapter=dict(task.start))


def _too_long(_: Faulty, update: Update, task: Assignment) -> Update:
    far = {name: task.start[name] + 1000 * (tensor - task.start[name]) for name, tensor in update.adapter.items()}
    return replace(update, adapter=far)


def _neighbours(faulty: Faulty, update: Update, task: Assignment) -> Update:
    return replace(update, adapter=faulty.now["A"].adapter)


def _stale(_: Faulty, update: Update, task: Assignment) -> Update:
    return replace(update, round=task.round - 1)


def _lower_rank(_: Faulty, update: Update, task: Assignment) -> Update:
    return replace(update, adapter=truncated(update.adapter, 1))


def _uninvited_gradient(_: Faulty, update: Update, task: Assignment) -> Update:
    return replace(update, gradient={name: tensor.clone() for name, tensor in update.adapter.items()})


def _figures(**figures: float) -> Damage:
    return lambda _, update, task: replace(update, **figures)


DAMAGES: dict[str, tuple[str, Damage]] = {
    "NaN": ("damaged", _filled(float("nan"))),
    "infinity": ("damaged", _filled(float("inf"))),
    "wrong shape": ("damaged", _wrong_shape),
    "wrong names": ("damaged", _wrong_names),
    "lower rank": ("damaged", _lower_rank),
    "uninvited gradient": ("damaged", _uninvited_gradient),
    "loss that is no number": ("damaged", _figures(loss=float("nan"))),
    "variance below 0": ("damaged", _figures(variance=-1.0)),
    "loss out of all bounds": ("damaged", _figures(loss=1e200)),
    "pairs out of all bounds": ("damaged", _figures(pairs=10**400)),
    "zero update": ("unchanged", _unchanged),
    "1,000 times too large": ("too long", _too_long),
    "another's adapter": ("copied", _neighbours),
    "stale round": ("stale", _stale),
    "killed": ("gone", lambda _, update, task: Lost(update.hospital, "gone", "its process is gone")),
}
"""By fault: what the coordinator calls it, and how to do it."""


EVALUATIONS: dict[str, dict[str, float]] = {
    "loss that is no number": {"loss": float("nan")},
    "infinite loss": {"loss": float("inf")},
    "loss below 0": {"loss": -1.0},
    "loss out of all bounds": {"loss": 1e200},
    "no pairs": {"pairs": 0},
    "no tokens": {"tokens": 0},
}
"""By fault: what an evaluation says."""


def _verdict(**figures: Callable[[Verdict], Any]) -> Callable[[Verdict], Verdict]:
    return lambda verdict: replace(verdict, **{name: figure(verdict) for name, figure in figures.items()})


VERDICTS: dict[str, Callable[[Verdict], Verdict]] = {
    "losses of 0": _verdict(losses=lambda verdict: (0.0,) * len(verdict.losses)),
    "losses below 0": _verdict(losses=lambda verdict: (-2.0,) * len(verdict.losses)),
    "no tokens": _verdict(tokens=lambda _: 0),
    "more tokens than allowed": _verdict(tokens=lambda _: 10**9),
    "more pairs than asked for": _verdict(pairs=lambda _: 10**9),
    "infinite errors on many pairs": _verdict(errors=lambda verdict: (math.inf,) * len(verdict.errors)),
    "errors out of all bounds": _verdict(errors=lambda verdict: (1e200,) * len(verdict.errors)),
    "gains out of all bounds": _verdict(gains=lambda verdict: (1e308,) * len(verdict.gains)),
    "too few numbers": _verdict(losses=lambda verdict: verdict.losses[1:]),
}
"""By fault: how to do it to the verdict on candidates."""
