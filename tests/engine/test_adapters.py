"""Adapter slots: fresh ones change nothing, filled ones answer, saved ones open with the public peft library."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from engine.errors import ModelError, RunError
from engine.model.adapters import TRAINING, Adapter, AdapterBank, from_bytes, load_adapter, to_bytes
from engine.protocol import BASE
from engine.settings import LoraSettings

IDS = torch.tensor([[3, 4, 5, 6]])


def random_adapter(bank: AdapterBank) -> Adapter:
    generator = torch.Generator().manual_seed(0)
    return {key: torch.randn(tensor.shape, generator=generator) for key, tensor in bank.initial(0).items()}


def logits(bank: AdapterBank, name: str) -> torch.Tensor:
    bank.use(name, training=False)
    with torch.no_grad():
        return bank.base.model(IDS).logits


def test_a_fresh_adapter_answers_like_the_base_model(bank: AdapterBank) -> None:
    bank.put("fresh", bank.initial(seed=1))

    assert torch.equal(logits(bank, "fresh"), logits(bank, BASE))


def test_what_is_put_in_a_slot_comes_out_of_it(bank: AdapterBank) -> None:
    adapter = random_adapter(bank)

    bank.put("A", adapter)

    assert all(torch.equal(adapter[key], tensor) for key, tensor in bank.get("A").items())
    assert not torch.equal(logits(bank, "A"), logits(bank, BASE))


def test_switching_slots_does_not_change_them(bank: AdapterBank) -> None:
    bank.put("A", random_adapter(bank))
    before = logits(bank, "A")

    logits(bank, BASE)
    bank.use(TRAINING, training=True)

    assert torch.equal(logits(bank, "A"), before)


def test_only_the_training_slot_learns(bank: AdapterBank) -> None:
    bank.put("A", random_adapter(bank))

    bank.use(TRAINING, training=True)

    learning = {id(p) for p in bank.peft.parameters() if p.requires_grad}
    assert learning == {id(p) for p in bank.parameters()}


def test_the_public_peft_library_opens_a_saved_adapter(bank: AdapterBank, tiny_model: Path, tmp_path: Path) -> None:
    adapter = random_adapter(bank)
    bank.put("A", adapter)
    bank.save(adapter, tmp_path / "final")

    plain = AutoModelForCausalLM.from_pretrained(tiny_model)
    opened = PeftModel.from_pretrained(plain, str(tmp_path / "final")).eval()
    with torch.no_grad():
        theirs = opened(IDS).logits

    torch.testing.assert_close(theirs, logits(bank, "A"))


def test_a_saved_adapter_is_read_back_with_its_shape(bank: AdapterBank, tmp_path: Path) -> None:
    adapter = random_adapter(bank)
    bank.save(adapter, tmp_path / "final")

    lora, loaded = load_adapter(tmp_path / "final")

    assert (lora.rank, lora.alpha, lora.target_modules) == (4, 16.0, ("q_proj", "v_proj"))
    assert to_bytes(loaded) == to_bytes(adapter)


def test_adapters_of_another_rank_fit_beside_the_run_s_own(bank: AdapterBank) -> None:
    wider = LoraSettings(rank=6)
    bank.put("stored", random_adapter(bank))
    adapter = {
        key: torch.zeros((6, tensor.shape[1]) if ".lora_A." in key else (tensor.shape[0], 6))
        for key, tensor in bank.initial(0).items()
    }

    bank.put("stored", adapter, wider)

    assert torch.equal(logits(bank, "stored"), logits(bank, BASE))


def damaged(adapter: Adapter, how: str) -> Adapter:
    key = next(iter(adapter))
    match how:
        case "missing":
            return {name: tensor for name, tensor in adapter.items() if name != key}
        case "shape":
            return adapter | {key: torch.zeros(1, 1)}
        case _:
            return adapter | {key: torch.full_like(adapter[key], float("nan"))}


@pytest.mark.parametrize(("how", "says"), [("missing", "not this model's"), ("shape", "expected"), ("nan", "NaN")])
def test_a_foreign_or_damaged_adapter_is_refused(bank: AdapterBank, how: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        bank.check(damaged(bank.initial(0), how), where="update of hospital A")


def test_bytes_that_are_no_safetensors_are_refused() -> None:
    with pytest.raises(ModelError, match="no safetensors"):
        from_bytes(b"\x80\x04K\x01.", where="a pickle")


def test_a_folder_that_cannot_be_made_is_told_in_words(bank: AdapterBank, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(RunError, match="cannot be written"):
        bank.save(bank.initial(1), tmp_path / "file" / "adapter")
