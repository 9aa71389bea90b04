"""An adapter folder from outside is checked before the model is touched, and nothing in it is ever executed."""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from engine.errors import ModelError, RunError
from engine.federated.checkpoint import read_round
from engine.model.adapters import AdapterBank, from_bytes, load_adapter
from engine.model.decoding import BankDecoder, Served
from engine.model.foreign import MAX_CONFIG_BYTES, MAX_WEIGHTS_BYTES
from engine.model.serving import Serving

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(bank: AdapterBank, tmp_path: Path) -> Path:
    """A good one."""
    bank.save(bank.initial(seed=1), tmp_path / "adapter")
    return tmp_path / "adapter"


def change(folder: Path, **fields: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def rewrite(folder: Path, turn: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(save(turn(from_bytes(path.read_bytes(), where="test"))))


def grown(path: Path, size: int) -> None:
    with path.open("r+b") as file:  # sparse: takes no space
        file.truncate(size)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "rank beyond any sense": (lambda folder: change(folder, r=10**9), "damaged"),
    "another rank than its tensors": (lambda folder: change(folder, r=8), "has not rank 8"),
    "infinite scale": (lambda folder: change(folder, lora_alpha=1e300), "damaged"),
    "a pattern as target": (lambda folder: change(folder, target_modules="(a+)+$"), "damaged"),
    "other target modules": (lambda folder: change(folder, target_modules=["o_proj"]), "none of its target modules"),
    "another kind of adapter": (lambda folder: change(folder, peft_type="PROMPT_TUNING"), "damaged"),
    "whole layers beside it": (lambda folder: change(folder, modules_to_save=["lm_head"]), "more than a plain LoRA"),
    "tensors of integers": (lambda folder: rewrite(folder, lambda t: {k: v.int() for k, v in t.items()}), "no floating-point"),
    "NaN": (lambda folder: rewrite(folder, lambda t: {k: v * torch.nan for k, v in t.items()}), "NaN"),
    "no tensors": (lambda folder: rewrite(folder, lambda t: {}), "no tensors"),
    "a tensor of another name": (lambda folder: rewrite(folder, lambda t: t | {"../x": torch.ones(2, 2)}), "none of its target"),
    "a configuration of a megabyte": (lambda folder: grown(folder / "adapter_config.json", MAX_CONFIG_BYTES + 1), "larger than"),
    "weights of many gigabytes": (
        lambda folder: grown(folder / "adapter_model.safetensors", MAX_WEIGHTS_BYTES + 1),
        "larger than",
    ),
    "a folder in place of a file": (
        lambda folder: ((folder / "adapter_model.safetensors").unlink(), (folder / "adapter_model.safetensors").mkdir()),
        "cannot be read",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_folder_that_does_not_fit_is_refused(folder: Path, case: str) -> None:
    spoil, says = HOSTILE[case]
    spoil(folder)

    with pytest.raises(ModelError, match=says):
        load_adapter(folder)


def test_a_good_folder_is_read(folder: Path, bank: AdapterBank) -> None:
    lora, tensors = load_adapter(folder)

    assert (lora.rank, set(tensors)) == (4, set(bank.initial(seed=1)))


def test_an_adapter_of_another_base_model_never_reaches_this_one(bank: AdapterBank) -> None:
    wider = {name: torch.cat((tensor, tensor), dim=1) for name, tensor in bank.initial(seed=1).items() if "lora_A" in name}

    with pytest.raises(ModelError, match="another base model"):
        Serving(bank, BankDecoder(bank)).continued(Served(wider, bank.lora), [1, 2])


# --- nothing is unpickled -------------------------------------------------------------------------------------------------------


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (open, (str(self._mark), "w"))  # type: ignore[return-value]


@pytest.mark.parametrize("planted", ["adapter_model.bin", "adapter_model.safetensors"])
def test_a_planted_pickle_is_never_loaded_as_an_adapter(folder: Path, tmp_path: Path, planted: str) -> None:
    (folder / "adapter_model.safetensors").unlink()
    (folder / planted).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))

    with pytest.raises(ModelError):
        load_adapter(folder)

    assert not (tmp_path / "exploded").exists()


def test_a_planted_pickle_is_never_loaded_as_a_checkpoint(tmp_path: Path) -> None:
    planted = tmp_path / "001"
    planted.mkdir()
    for name in ("global.safetensors", "state.json", "carried.safetensors"):
        (planted / name).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))

    with pytest.raises((ModelError, RunError)):
        read_round(planted)
    with pytest.raises(ModelError, match="no safetensors file"):
        from_bytes((planted / "global.safetensors").read_bytes(), where="planted")

    assert not (tmp_path / "exploded").exists()


def test_the_project_never_unpickles() -> None:
    words = (
        r"\bpickle\b|torch\.load\(|\bjoblib\b|\bdill\b|allow_pickle *= *True|weights_only *= *False|trust_remote_code *= *True"
    )
    found = subprocess.run(
        ["grep", "-rnE", "--include=*.py", words, "engine", "fedmed_tui", "screens"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout

    assert [line for line in found.splitlines() if "unpickled" not in line] == []
