"""A loaded tiny model, shared by tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.model.adapters import AdapterBank
from tests.engine.conftest import load_tiny


@pytest.fixture(scope="package")
def bank(tiny_model: Path) -> AdapterBank:
    """Rank 4 on q_proj and v_proj. Tests fill the slots they use."""
    return load_tiny(tiny_model, quantization="none")
