"""One hospital's optimizer steps in one round: objective, frozen parts, clipping, schedule.

With x the adapter being trained, x_0 the round's start and g the gradient of the hospital's own loss, the objectives use

    fedavg     g
    fedprox    g + μ (x − x_0)              from (μ / 2) ‖x − x_0‖² added to the loss (Li et al. 2020)
    scaffold   g − c_k + c                  c_k the hospital's mean gradient in its last round, c the mean over hospitals
                                            (Karimireddy et al. 2020; for plain SGD their option II is just this c_k)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.alarm import whole
from engine.federated.update import Assignment
from engine.model.adapters import TRAINING, Adapter, AdapterBank
from engine.settings import TrainingSettings


class LocalSteps:
    """AdamW on the training slot, filled with the round's start."""

    def __init__(
        self, bank: AdapterBank, settings: TrainingSettings, assignment: Assignment, start: Adapter, hospital: str
    ) -> None:
        """Fill the slot. `start` is the assignment's, in the hospital's own rank."""
        bank.put(TRAINING, start)
        self._slot = bank.parameters()
        self._forget_gradients()
        named = zip(sorted(start), self._slot, strict=True)
        self._parameters = {name: p for name, p in named if factor_of(name) in assignment.trains}
        self._start = {name: start[name].to(p.device) for name, p in self._parameters.items()}
        self._held = assignment.held
        self._correction = assignment.corrections.get(hospital, {})
        self._gradients = {name: torch.zeros_like(p) for name, p in self._parameters.items()}
        self._settings = settings
        self._steps = 0
        self._optimizer = torch.optim.AdamW(
            list(self._parameters.values()), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

    @whole  # torch's optimizer switches gradients off meanwhile
    def step(self, number: int, total: int) -> None:
        """Use the gradients of micro-steps since the last step; `number` counts from 1 over the whole run of `total` steps."""
        settings = self._settings
        self._correct_gradients()
        torch.nn.utils.clip_grad_norm_(self._parameters.values(), settings.gradient_clip)
        scale = learning_rate_scale(number, total, settings.warmup_fraction)
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * scale
        self._optimizer.step()
        self._forget_gradients()
        for name, parameter in self._parameters.items():
            _frozen(name, parameter.data, self._held).copy_(_frozen(name, self._start[name], self._held))
        self._steps += 1

    def mean_gradient(self) -> Adapter:
        """Mean of the hospital's own gradients, for scaffold; else empty."""
        if self._settings.objective != "scaffold":
            return {}
        return {name: (total / self._steps).cpu() for name, total in self._gradients.items()}

    def _forget_gradients(self) -> None:
        """Also of the factor that does not train: it may in the next round."""
        for parameter in self._slot:
            parameter.grad = None

    def _correct_gradients(self) -> None:
        for name, parameter in self._parameters.items():
            gradient = parameter.grad
            assert gradient is not None
            if self._settings.objective == "fedprox":
                gradient.add_(parameter.detach() - self._start[name], alpha=self._settings.proximal)
            elif self._settings.objective == "scaffold":
                self._gradients[name] += gradient
                if name in self._correction:  # not in its first round with this factor
                    gradient.add_(self._correction[name].to(gradient.device))
            _frozen(name, gradient, self._held).zero_()


def truncated(adapter: Adapter, rank: int) -> Adapter:
    """The first `rank` directions; after an SVD these are the ones that matter most."""
    return {name: tensor[:rank] if factor_of(name) == "A" else tensor[:, :rank] for name, tensor in adapter.items()}


def learning_rate_scale(step: int, total: int, warmup_fraction: float) -> float:
    """Factor on the learning rate at optimizer step 1..total: linear rise, then half a cosine to 0."""
    warmup = max(1, round(total * warmup_fraction))
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def factor_of(name: str) -> str:
    """Which factor an adapter's tensor is: `A` or `B`."""
    return "A" if ".lora_A." in name else "B"


def _frozen(name: str, tensor: Tensor, held: int) -> Tensor:
    """The part of a tensor that belongs to the first `held` directions."""
    return tensor[:held] if factor_of(name) == "A" else tensor[:, :held]
