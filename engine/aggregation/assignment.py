"""What hospitals are asked to train in a round, as the combine rule and the local objective need it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from engine.aggregation.combine import trained_factors
from engine.aggregation.products import layers, rank_of
from engine.federated.update import Assignment, Update
from engine.model.adapters import Adapter
from engine.settings import RunConfig

CONTROL = "control/"
"""Prefix of a hospital's control variate among the tensors that are carried from round to round."""


def assignment(
    config: RunConfig, number: int, start: Adapter, carried: Mapping[str, Adapter], fresh: Callable[[int], Adapter]
) -> Assignment:
    """The round's assignment. Under `stacked`, a new adapter drawn by `fresh` from a seed lies on top of the frozen start."""
    held = 0
    if config.aggregation.combine == "stacked" and any(bool(start[b].any()) for _, b in layers(start)):
        held = rank_of(start)
        start = _on_top(start, fresh(config.seed + number))
    controls = {key.removeprefix(CONTROL): control for key, control in carried.items() if key.startswith(CONTROL)}
    return Assignment(
        round=number,
        start=start,
        trains=trained_factors(config.aggregation.combine, number),
        held=held,
        corrections=_corrections(controls),
        ranks={name: held + rank for name, rank in config.lora.hospital_ranks.items()},
        gradients=config.training.objective == "scaffold",
    )


def controls(updates: Sequence[Update], carried: Mapping[str, Adapter]) -> dict[str, Adapter]:
    """The control variates that the next round's corrections are made of; empty unless hospitals sent gradients.

    A hospital that was left out of the round keeps the one that is `carried` from before, and under `alternate` everybody keeps
    that of the factor which was not trained.
    """
    kept = {key: control for key, control in carried.items() if key.startswith(CONTROL)}
    sent = {CONTROL + update.hospital: update.gradient for update in updates if update.gradient}
    return kept | {key: {**kept.get(key, {}), **gradient} for key, gradient in sent.items()}


def _corrections(controls: Mapping[str, Adapter]) -> dict[str, Adapter]:
    """c − c_k for each hospital, c the mean of all c_k. A factor that a hospital has not trained yet has none."""
    ordered = [controls[hospital] for hospital in sorted(controls)]  # whoever was away comes last among them, until a resume
    names = sorted({name for control in ordered for name in control})
    mean = {name: torch.stack([control[name] for control in ordered if name in control]).mean(dim=0) for name in names}
    return {hospital: {name: mean[name] - own for name, own in control.items()} for hospital, control in controls.items()}


def _on_top(start: Adapter, fresh: Adapter) -> Adapter:
    """Both adapters' directions side by side, those of `start` first."""
    return {name: torch.cat((tensor, fresh[name]), dim=0 if ".lora_A." in name else 1) for name, tensor in start.items()}
