"""Sizes: the reference's figures from its shapes, and the formula for NF4 against a model that bitsandbytes really packed."""

from __future__ import annotations

from pathlib import Path

import pytest
from bitsandbytes.nn import Params4bit

from engine.benchmark.efficiency import CLAIMED_BASE_BYTES, nf4_bytes, reference
from engine.model.base import BaseModel, load_base
from engine.model.figures import count
from engine.settings import LoraSettings, ModelSettings


def test_the_reference_set_up_in_numbers() -> None:
    sizes = reference()

    assert sizes.trainable == 3_407_872
    assert sizes.adapter_bytes == 13 * 2**20  # 13.0 MiB
    assert round(sizes.reduction(CLAIMED_BASE_BYTES), 3) == 0.998
    assert sizes.trainable_share == pytest.approx(0.00047, abs=5e-6)


def test_nf4_takes_what_a_packed_model_takes(tiny_model: Path) -> None:
    *_, base = load_base(ModelSettings(source=str(tiny_model), quantization="nf4"))
    assert isinstance(base, BaseModel)
    packed = [one for one in base.model.parameters() if isinstance(one, Params4bit)]
    rest = sum(one.numel() for one in base.model.parameters() if not isinstance(one, Params4bit))
    scales = sum(one.quant_state.absmax.numel() for one in packed)
    nested = sum(one.quant_state.state2.absmax.numel() for one in packed)
    real = sum(one.numel() for one in packed) + scales + 4 * nested + 2 * rest

    counted = nf4_bytes(count(base.model.config, LoraSettings()))

    assert packed
    assert counted == pytest.approx(real, rel=0.001)
