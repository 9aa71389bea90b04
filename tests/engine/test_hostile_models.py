"""A base model's folder of anybody's: only its own safetensors are loaded, no code of it is run, and nothing is made up."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import ModelError
from engine.model.base import load_base
from engine.settings import ModelSettings
from tests.engine.test_foreign_adapters import Bomb

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A good one."""
    shutil.copytree(tiny_model, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def exploded(tmp_path: Path) -> Path:
    """Is there once code of the folder has run."""
    return tmp_path / "exploded"


def load(folder: Path) -> None:
    list(load_base(ModelSettings(source=str(folder), device="cpu", quantization="none")))


def change(file: Path, **fields: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def indexed(folder: Path, target: str) -> None:
    """The weights under another name, and an index that says where they are."""
    names = list(load_file(folder / WEIGHTS))
    (folder / WEIGHTS).rename(folder / "own.safetensors")
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, target)}))


def test_weights_named_by_an_index_are_loaded(folder: Path) -> None:
    indexed(folder, "own.safetensors")

    load(folder)


@pytest.mark.parametrize("target", ["../outside.safetensors", "/outside.safetensors", "pytorch_model.bin", 5])
def test_an_index_leads_to_no_other_file(folder: Path, exploded: Path, target: str) -> None:
    shutil.copy(folder / WEIGHTS, folder.parent / "outside.safetensors")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(exploded)))
    indexed(folder, target)

    with pytest.raises(ModelError, match="names weights that are no"):
        load(folder)

    assert not exploded.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt", "adapter_model.bin"])
def test_a_pickle_beside_the_weights_is_not_loaded(folder: Path, exploded: Path, name: str) -> None:
    (folder / name).write_bytes(pickle.dumps(Bomb(exploded)))

    load(folder)

    assert not exploded.exists()


def test_a_pickle_in_place_of_the_weights_is_refused(folder: Path, exploded: Path) -> None:
    (folder / WEIGHTS).write_bytes(pickle.dumps(Bomb(exploded)))

    with pytest.raises(ModelError, match="cannot be loaded"):
        load(folder)

    assert not exploded.exists()


OWN_CODE = {
    "config.json": {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}},
    "tokenizer_config.json": {"tokenizer_class": "T", "auto_map": {"AutoTokenizer": ["evil.T", "evil.T"]}},
}


@pytest.mark.parametrize("file", OWN_CODE)
def test_code_of_a_model_folder_is_never_run_and_nobody_is_asked(folder: Path, exploded: Path, file: str) -> None:
    (folder / "evil.py").write_text(f"open({str(exploded)!r}, 'w')\n")
    change(folder / file, **OWN_CODE[file])

    with pytest.raises(ModelError, match="custom code"):
        load(folder)

    assert not exploded.exists()


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "an adapter that names its base model": (
        lambda folder: (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "/"}'),
        "is an adapter",
    ),
    "weights of another name": (lambda folder: change(folder / "config.json", transformers_weights="x"), "other weights"),
    "a kernel of the hub": (lambda folder: change(folder / "config.json", _attn_implementation="evil/kernel"), "code of its own"),
    "more layers than it has": (lambda folder: change(folder / "config.json", num_hidden_layers=3), "tensors are missing"),
    "no weights of its own": (lambda folder: save_file({"a": torch.ones(1)}, folder / WEIGHTS), "tensors are missing"),
    "other shapes": (lambda folder: change(folder / "config.json", hidden_size=2**30), "cannot be loaded"),
    "no heads": (lambda folder: change(folder / "config.json", num_attention_heads=0), "cannot be loaded"),
    "words for numbers": (lambda folder: change(folder / "config.json", hidden_size="many"), "cannot be loaded"),
    "a list for settings": (lambda folder: (folder / "config.json").write_text("[1]"), "cannot be read"),
    "deep settings": (lambda folder: (folder / "config.json").write_text('{"a":' + "[" * 100_000), "nested too deeply"),
    "a list for the tokenizer's": (lambda folder: (folder / "tokenizer_config.json").write_text("[]"), "cannot be loaded"),
    "a list for generation's": (lambda folder: (folder / "generation_config.json").write_text("[]"), "cannot be loaded"),
    "weights cut short": (lambda folder: os.truncate(folder / WEIGHTS, 99_999), "cannot be loaded"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
def test_a_folder_that_is_no_whole_model_is_refused(folder: Path, case: str) -> None:
    spoil, says = SPOILT[case]
    spoil(folder)

    with pytest.raises(ModelError, match=says):
        load(folder)
