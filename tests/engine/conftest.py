"""A loaded tiny model, for tests that call the engine's functions directly."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.model.adapters import AdapterBank
from engine.model.base import BaseModel, load_base
from engine.settings import LoraSettings, ModelSettings


def load_tiny(folder: Path, **settings: str) -> AdapterBank:
    """The tiny model with a fresh adapter bank."""
    *_, base = load_base(ModelSettings(source=str(folder), **settings))
    assert isinstance(base, BaseModel)
    return AdapterBank(base, LoraSettings(rank=4))


@pytest.fixture
def bank(tiny_model: Path) -> AdapterBank:
    """Fresh for each test: adapters are state."""
    return load_tiny(tiny_model, quantization="none")
