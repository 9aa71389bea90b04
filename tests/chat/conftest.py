"""A loaded tiny model with adapters that change its answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.model.adapters import AdapterBank
from engine.model.decoding import BankDecoder, Served
from engine.model.lean import LeanDecoder
from tests.engine.conftest import load_tiny


@pytest.fixture(scope="module")
def bank(tiny_model: Path) -> AdapterBank:
    """Only read by these tests, so one serves a whole module."""
    return load_tiny(tiny_model, quantization="none")


@pytest.fixture(scope="module")
def lean(bank: AdapterBank) -> LeanDecoder:
    """The fast decoder of the tiny model."""
    decoder = LeanDecoder(bank.base.model)
    list(decoder.prepare())
    return decoder


@pytest.fixture(scope="module")
def general(bank: AdapterBank) -> BankDecoder:
    """The decoder that asks the model itself."""
    return BankDecoder(bank)


def adapter(bank: AdapterBank, seed: int) -> Served:
    """An adapter that changes every answer."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {key: torch.randn(tensor.shape, generator=generator) * 0.3 for key, tensor in bank.initial(seed).items()}
    return Served(tensors, bank.lora)
