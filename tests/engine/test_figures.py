"""The reference set-up's figures, counted on the meta device."""

from __future__ import annotations

import pytest

from engine.model.figures import count, mistral_7b
from engine.settings import REFERENCE


def test_mistral_7b_with_the_reference_adapter() -> None:
    figures = count(mistral_7b(), REFERENCE.lora)

    assert figures.trainable == 3_407_872
    assert figures.adapter_bytes / 2**20 == 13.0
    assert figures.parameters / 1e9 == pytest.approx(7.24, abs=0.005)
    assert 100 * figures.trainable_share == pytest.approx(0.047, abs=0.0005)
    assert figures.packed_elements / 1e9 == pytest.approx(3.75, abs=0.005)
    assert 100 * figures.trainable / figures.packed_elements == pytest.approx(0.09, abs=0.005)
