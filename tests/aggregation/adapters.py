"""Random adapters of two layers, small enough to multiply out, and updates made of them."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.aggregation.weighting import Situation
from engine.federated.update import Update
from engine.model.adapters import Adapter

SHAPES = {"base_model.model.layers.0.q_proj": (7, 9), "base_model.model.layers.1.v_proj": (5, 9)}


def adapter(seed: int, rank: int = 3, size: float = 1.0) -> Adapter:
    """Normal entries."""
    draw = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer, (out, inside) in SHAPES.items():
        tensors[f"{layer}.lora_A.weight"] = size * torch.randn(rank, inside, generator=draw)
        tensors[f"{layer}.lora_B.weight"] = size * torch.randn(out, rank, generator=draw)
    return tensors


def zero(rank: int = 3) -> Adapter:
    """An adapter that changes nothing, as a run starts from."""
    return {name: torch.zeros_like(tensor) if ".lora_B." in name else tensor for name, tensor in adapter(99, rank).items()}


def product(one: Adapter) -> Tensor:
    """B·A of every layer, flattened, in float64."""
    return torch.cat(
        [(one[f"{layer}.lora_B.weight"].double() @ one[f"{layer}.lora_A.weight"].double()).flatten() for layer in SHAPES]
    )


def update(hospital: str, tensors: Adapter, pairs: int = 10, loss: float = 2.0, variance: float = 0.1) -> Update:
    """An update of a hospital."""
    return Update(hospital, tensors, pairs, steps=4, loss=loss, variance=variance, tokens=1000, seconds=1.0, round=1)


def situation(*updates: Update, start: Adapter | None = None, number: int = 1) -> Situation:
    """Updates from one start."""
    return Situation(number, start or zero(), updates)
