"""Packed weights multiply like the weights they came from, each row of the input by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.model.packed import GROUP, pack


def on_a_grid(rows: int, columns: int) -> Tensor:
    """Weights as a 4-bit file holds them: per group of 32 a lowest value and 16 even steps, both ends used."""
    torch.manual_seed(0)
    levels = torch.randint(0, 16, (rows, columns // GROUP, GROUP))
    levels[:, :, 0], levels[:, :, 1] = 0, 15
    step, lowest = torch.rand(rows, columns // GROUP, 1) * 0.02 + 0.01, -torch.rand(rows, columns // GROUP, 1)
    return (levels * step + lowest).view(rows, columns)


def error(weight: Tensor) -> float:
    """Largest error of the product, as a share of the largest value."""
    x = torch.randn(3, weight.shape[1])
    exact = x @ weight.T
    return float((pack(weight)(x) - exact).abs().max() / exact.abs().max())


def test_weights_from_a_four_bit_file_lose_no_more_than_by_bf16() -> None:
    weight = on_a_grid(64, 128)
    x = torch.randn(3, 128)
    by_bf16 = (x.bfloat16() @ weight.bfloat16().T).float() - x @ weight.T

    assert error(weight) <= 2 * float(by_bf16.abs().max() / (x @ weight.T).abs().max())


def test_other_weights_are_held_in_eight_bits() -> None:
    assert error(torch.randn(50, 32)) < 0.02


def test_weights_near_a_grid_but_not_on_it_are_not_forced_onto_it() -> None:
    weight = on_a_grid(64, 128)
    weight[-1] += torch.rand(128) * 0.02

    assert error(weight) < 0.02


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    product, x = pack(on_a_grid(64, 128)), torch.randn(4, 128)

    assert torch.equal(product(x)[2:3], product(x[2:3]))
