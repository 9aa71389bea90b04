"""Weights packed for multiplying with one token at a time, which is bound by how many bytes of weights are read.

Weights that came out of a 4-bit file lie on its grid still: each run of 32 holds 16 evenly spaced values between its lowest and
its highest. Such weights go back to 4 bits, which loses no more than rounding them to bf16 does. Any other weights become 8 bits
with one scale per output. The arithmetic is bf16 either way, each row of the input by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

GROUP = 32
"""Weights that share a scale in 4-bit form: GGUF's Q4_0 and Q4_1 blocks."""
GRID_TOLERANCE = 2**-7
"""Largest error, as a share of a group's largest weight, that still counts as on the grid: bf16 rounding of weight and scale."""

Product = Callable[[Tensor], Tensor]
"""(rows, in) fp32 → (rows, out) fp32."""


def pack(weight: Tensor) -> Product:
    """The product with a weight matrix (out, in): `x @ weight.T`."""
    weight = weight.detach().float()
    fits = weight.shape[1] % GROUP == 0 and weight.shape[0] % 16 == 0
    if fits and _on_grid(weight[:16]) and _on_grid(weight):  # a few rows tell most other weights apart
        return _four_bit(weight)
    return _eight_bit(weight)


def _on_grid(weight: Tensor) -> bool:
    levels, lowest, step = _grid(weight)
    error = ((levels * step + lowest).view_as(weight) - weight).abs().view_as(levels).amax(2)
    return bool((error <= GRID_TOLERANCE * weight.abs().view_as(levels).amax(2)).all())


def _grid(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each group's 16 levels, lowest to highest weight: levels (out, groups, 32), lowest and step (out, groups, 1)."""
    grouped = weight.view(weight.shape[0], -1, GROUP)
    lowest, highest = grouped.amin(2, keepdim=True), grouped.amax(2, keepdim=True)
    step = ((highest - lowest) / 15).clamp(min=1e-12)
    return ((grouped - lowest) / step).round_(), lowest, step


def _four_bit(weight: Tensor) -> Product:
    levels, lowest, step = _grid(weight)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels.view_as(weight).to(torch.int32), 1)
    middle = lowest + 8 * step  # the kernel counts levels from -8
    scales = torch.cat([step, middle], dim=2).transpose(0, 1).contiguous().bfloat16()  # (groups, out, 2)
    multiply = torch.ops.aten._weight_int4pack_mm_for_cpu
    return lambda x: multiply(x.bfloat16(), packed, GROUP, scales).float()


def _eight_bit(weight: Tensor) -> Product:
    scale = (weight.abs().amax(1) / 127).clamp(min=1e-12)  # (out,)
    packed = (weight / scale[:, None]).round_().to(torch.int8)
    rounded = scale.bfloat16()
    multiply = torch.ops.aten._weight_int8pack_mm
    return lambda x: multiply(x.bfloat16(), packed, rounded).float()
