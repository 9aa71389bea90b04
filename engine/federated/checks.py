"""What a coordinator believes of what a hospital sent, whatever the transport: the only place where answers are judged.

Pure functions of the question and the answers. A complaint is worded from this module alone: names, numbers or text out of a bad
answer are not repeated, they could hold anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

import torch
from torch import Tensor

from engine.federated.local import factor_of, truncated
from engine.federated.update import Assessment, Assignment, Evaluation, Lost, Update, Verdict
from engine.model.adapters import Adapter, digest_of

TOO_LONG = 100.0
"""An update that moves so many times as far as the others' median is no training result. The agent's own gate is far tighter."""
MOST = 1e12
"""No loss, count or time is larger, and no sum or square of what is believed overflows."""
LEAST_LOSS = 1e-6
"""Gains are told as shares of a loss: of a smaller one, such as one that was rounded to 0, there are none."""


def unfit(update: Update, task: Assignment) -> Lost | None:
    """What is wrong with an update by itself: it is of another round, not possible, not finite, or does not fit the model."""
    if update.round != task.round:
        return Lost(update.hospital, "stale", "its update is of another round")
    figures = (update.loss, update.variance, update.seconds, update.steps, update.tokens, update.pairs)
    if not _possible(*figures) or update.pairs == 0:
        return Lost(update.hospital, "damaged", "the figures of its update are not possible")
    own = truncated(task.start, task.ranks[update.hospital]) if update.hospital in task.ranks else task.start
    sloped = {name: own[name] for name in own if task.gradients and factor_of(name) in task.trains}
    problem = _misfit(update.adapter, own) or _misfit(update.gradient, sloped)
    return Lost(update.hospital, "damaged", problem) if problem else None


def out_of_line(updates: Sequence[Update], task: Assignment, before: Mapping[str, str]) -> list[Lost]:
    """What is wrong with updates beside each other, each of them fit by itself. Sorted by hospital.

    Args:
        updates: one of each hospital.
        before: fingerprints of the last round's updates, by hospital.
    """
    ordered = sorted(updates, key=lambda update: update.hospital)
    moved = {update.hospital: _moved(update.adapter, task.start) for update in ordered}
    travelled = {name: distance for name, distance in moved.items() if distance > 0}
    if not travelled:
        return []  # a last step at learning rate zero moves nobody
    earlier, seen = {print_: name for name, print_ in before.items()}, dict[str, str]()
    found = []
    for update in ordered:
        name, print_ = update.hospital, digest_of(update.adapter)
        others = [distance for other, distance in travelled.items() if other != name]
        if name not in travelled:
            found.append(Lost(name, "unchanged", "its update is the adapter that it was given"))
        elif print_ in earlier and earlier[print_] == name:
            found.append(Lost(name, "stale", "its update is the one of the last round"))
        elif print_ in earlier or print_ in seen:
            found.append(Lost(name, "copied", f"its update is that of {earlier.get(print_) or seen[print_]}"))
        elif others and moved[name] > TOO_LONG * median(others):
            times = moved[name] / median(others)
            found.append(Lost(name, "too long", f"its update moves {times:.0f} times as far as the others' median"))
        seen.setdefault(print_, name)
    return found


def unfit_evaluation(evaluation: Evaluation) -> Lost | None:
    """An evaluation must be of a possible loss on something."""
    fine = _possible(evaluation.loss, evaluation.pairs, evaluation.tokens) and evaluation.pairs and evaluation.tokens
    return None if fine else Lost(evaluation.hospital, "damaged", "its validation loss is not possible")


def unfit_verdict(verdict: Verdict, asked: Assessment) -> Lost | None:
    """A verdict must hold as many possible numbers as were asked for, from no more pairs and tokens than that."""
    candidates, hospitals = len(asked.vectors), len(asked.adapters) - 1
    sizes = tuple(map(len, (verdict.losses, verdict.gains, verdict.errors, verdict.slopes)))
    if verdict.pairs == 0 and verdict.tokens == 0 and _possible(verdict.seconds):
        return None  # it had no pairs to try the candidates on, and says so
    fits = sizes == (candidates, candidates, candidates, hospitals if asked.slopes else 0)
    allowed = 0 < verdict.pairs <= asked.pairs and 0 < verdict.tokens <= asked.tokens.get(verdict.voter, 0)
    errors = [error for error in verdict.errors if verdict.pairs > 1 or error != math.inf]  # that of a single pair is infinite
    signed = map(abs, (*verdict.gains, *verdict.slopes))
    if not fits or not allowed or not _possible(verdict.seconds, *verdict.losses, *errors, *signed):
        return Lost(verdict.voter, "damaged", "its verdict on the candidates does not hold the numbers asked for")
    if verdict.losses[0] < LEAST_LOSS:
        return Lost(verdict.voter, "damaged", "its losses are 0, so that nothing can be told from them")
    return None


def _possible(*figures: float) -> bool:
    return all(0 <= figure <= MOST for figure in figures)  # NaN is not


def _misfit(tensors: Adapter, expected: Mapping[str, Tensor]) -> str:
    """Why these tensors are not of the names and shapes expected; empty when they are."""
    if tensors.keys() != expected.keys():
        return "its update has other tensors than those it was to train"
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.dtype != torch.float32 or tensor.shape != expected[name].shape:
            return "a tensor of its update has another shape or type than it was given"
        if not torch.isfinite(tensor).all():
            return "its update holds NaN or infinity"
    return ""


def _rank(name: str, tensor: Tensor) -> int:
    return tensor.shape[0] if factor_of(name) == "A" else tensor.shape[-1]


def _moved(adapter: Adapter, start: Adapter) -> float:
    """Length of the way from the start, over all numbers."""
    rank = next((_rank(name, tensor) for name, tensor in adapter.items()), 0)
    begun = truncated(start, rank)
    return math.sqrt(sum(float((tensor.double() - begun[name].double()).square().sum()) for name, tensor in adapter.items()))
