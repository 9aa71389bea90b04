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

from engine.federated.local import truncated
from engine.federated.update import Assessment, Assignment, Evaluation, Lost, Update, Verdict
from engine.model.adapters import Adapter, digest_of

TOO_LONG = 100.0
"""An update that moves so many times as far as the others' median is no training result. The agent's own gate is far tighter."""


def unfit(update: Update, task: Assignment) -> Lost | None:
    """What is wrong with an update by itself: it is of another round, is not finite, or does not fit the model."""
    if update.round != task.round:
        return Lost(update.hospital, "stale", "its update is of another round")
    scalars = (update.loss, update.variance, update.seconds)
    counts = (update.pairs, update.steps, update.tokens)
    if not all(map(math.isfinite, scalars)) or min(*counts, update.seconds) < 0 or update.pairs == 0:
        return Lost(update.hospital, "damaged", "the figures of its update are not possible")
    problem = _misfit(update.adapter, task.start) or _misfit(update.gradient, task.start, some=True)
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
    """An evaluation must be of a finite loss on something."""
    fine = math.isfinite(evaluation.loss) and evaluation.pairs > 0 and evaluation.tokens > 0
    return None if fine else Lost(evaluation.hospital, "damaged", "its validation loss is not a number")


def unfit_verdict(verdict: Verdict, asked: Assessment) -> Lost | None:
    """A verdict must hold as many finite numbers as were asked for."""
    candidates, hospitals = len(asked.vectors), len(asked.adapters) - 1
    sizes = tuple(map(len, (verdict.losses, verdict.gains, verdict.errors, verdict.slopes)))
    numbers = (*verdict.losses, *verdict.gains, *verdict.slopes, verdict.seconds)
    if verdict.pairs == 0:
        return None  # it had no pairs to try the candidates on, and says so
    fits = sizes == (candidates, candidates, candidates, hospitals if asked.slopes else 0)
    counts = (verdict.pairs, verdict.tokens, *verdict.errors)  # the error of a single pair's gain is infinite
    if not fits or not all(map(math.isfinite, numbers)) or not all(count >= 0 for count in counts):
        return Lost(verdict.voter, "damaged", "its verdict on the candidates does not hold the numbers asked for")
    return None


def _misfit(adapter: Adapter, start: Adapter, *, some: bool = False) -> str:
    """Why these tensors do not go with the start adapter's, at a rank of their own; empty when they do. `some` may be missing."""
    if not (adapter.keys() <= start.keys() if some else adapter.keys() == start.keys()):
        return "its update has other tensors than this model's"
    own = {int(_rank(name, tensor)) for name, tensor in adapter.items() if tensor.dim() == 2}
    for name, tensor in adapter.items():
        expected = list(start[name].shape)
        expected[0 if ".lora_A." in name else -1] = max(own, default=0)
        if tensor.layout != torch.strided or tensor.dtype != torch.float32 or list(tensor.shape) != expected:
            return "a tensor of its update has another shape or type than this model's"
        if max(own) > _rank(name, start[name]):
            return "its update has a higher rank than it was given"
        if not torch.isfinite(tensor).all():
            return "its update holds NaN or infinity"
    return ""


def _rank(name: str, tensor: Tensor) -> int:
    return tensor.shape[0] if ".lora_A." in name else tensor.shape[-1]


def _moved(adapter: Adapter, start: Adapter) -> float:
    """Length of the way from the start, over all numbers."""
    rank = next((_rank(name, tensor) for name, tensor in adapter.items()), 0)
    begun = truncated(start, rank)
    return math.sqrt(sum(float((tensor.double() - begun[name].double()).square().sum()) for name, tensor in adapter.items()))
