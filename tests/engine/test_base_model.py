"""Loading: NF4 really packs the weights and trains, bad folders are refused in words, the bundled model is checked."""

from __future__ import annotations

import json
from pathlib import Path

import bitsandbytes
import pytest
import torch

from engine import locations
from engine.data.batches import collate
from engine.errors import ModelError, SettingsError
from engine.jobs.context import Engine
from engine.jobs.model import ensure_bank
from engine.model.adapters import TRAINING
from engine.model.base import load_base
from engine.model.loss import answer_nll
from engine.model.sources import resolve
from engine.model.template import encode_pair
from engine.settings import ModelSettings
from tests.engine.conftest import load_tiny


def test_nf4_packs_every_decoder_matrix_in_4_bits_with_double_quantization(tiny_model: Path) -> None:
    bank = load_tiny(tiny_model, quantization="nf4", device="cpu")

    packed = [module for module in bank.base.model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    assert len(packed) == 2 * 7  # q k v o gate up down, in two layers
    assert {module.weight.quant_type for module in packed} == {"nf4"}
    assert all(module.weight.quant_state.nested for module in packed)
    assert bank.base.quantization == "NF4 4-bit, fp32 compute"


def test_an_adapter_learns_on_an_nf4_base(tiny_model: Path) -> None:
    bank = load_tiny(tiny_model, quantization="nf4", device="cpu")
    batch = collate([encode_pair(bank.base.tokenizer, "What is flu?", "A viral infection of nose and lungs.", 64)], 0)
    optimizer = torch.optim.AdamW(bank.parameters(), lr=0.05)
    bank.use(TRAINING, training=True)

    losses = []
    for _ in range(8):
        loss = answer_nll(bank.base.model, batch).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))

    assert losses[-1] < losses[0]


def load(source: Path) -> None:
    list(load_base(ModelSettings(source=str(source), device="cpu")))


def test_a_folder_without_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        load(tmp_path)


def test_weights_in_a_pickle_are_never_loaded(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((tiny_model / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04K\x01.")

    with pytest.raises(ModelError, match="other weight formats are not loaded"):
        load(tmp_path)


def test_a_model_without_chat_template_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    for file in tiny_model.iterdir():
        if file.name not in ("chat_template.jinja",):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))

    with pytest.raises(ModelError, match="no chat template"):
        load(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA card")
def test_asking_for_a_card_that_is_not_there_says_so(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="no usable CUDA card"):
        list(load_base(ModelSettings(source=str(tiny_model), device="cuda")))


def test_a_damaged_bundled_model_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / locations.BUNDLED_GGUF
    broken.write_bytes(b"GGUF")
    monkeypatch.setattr(locations, "bundled_gguf", lambda: broken)

    with pytest.raises(ModelError, match="damaged or of another version"):
        list(resolve("bundled", cuda=False))


def test_a_missing_bundled_model_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "bundled_gguf", lambda: None)

    with pytest.raises(ModelError, match="fedmed-tui model fetch"):
        list(resolve("bundled", cuda=False))


@pytest.mark.parametrize("threads", ["two", "0", "-1", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused_in_words(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDMED_THREADS", threads)

    with pytest.raises(SettingsError, match=f"'{threads}' is no number of threads") as refused:
        list(ensure_bank(Engine(), "run", ModelSettings(source="bundled")))

    assert refused.value.where == "FEDMED_THREADS"
