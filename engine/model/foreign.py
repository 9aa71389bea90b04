"""An adapter folder from outside, before anything of it touches the model: its configuration, names, shapes, types and sizes.

Only the two files of a PEFT folder that hold numbers and names are read; nothing in it is ever run or unpickled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from engine import strict_json
from engine.errors import ModelError
from engine.files import read_regular
from engine.settings import LoraSettings

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
MAX_CONFIG_BYTES = 2**20
MAX_WEIGHTS_BYTES = 2**31
"""Rank 256 on every linear layer of a model of 7 billion parameters stays below."""
PREFIX = "base_model.model."
TENSOR_NAME = re.compile(r"base_model\.model\.(?P<layer>[A-Za-z0-9_.]{1,200})\.lora_(?P<factor>[AB])\.weight")
HINT = "The folder must be a plain LoRA adapter, saved by fedmed-tui or peft."

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.]+$")]


class _Config(Struct, frozen=True):
    """What is used of adapter_config.json, and what must not be in it."""

    r: Annotated[int, Meta(ge=1, le=256)]
    lora_alpha: Annotated[float, Meta(gt=0, le=100_000)]
    target_modules: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100)]
    """By name: a pattern out of a foreign file is not searched for."""
    peft_type: Literal["LORA"] = "LORA"
    bias: Literal["none"] = "none"
    use_dora: bool = False
    use_rslora: bool = False
    rank_pattern: dict[str, int] | None = None
    alpha_pattern: dict[str, float] | None = None
    modules_to_save: list[str] | None = None


_decoder = msgspec.json.Decoder(_Config)


def read_config(folder: Path) -> LoraSettings:
    """The adapter's shape. Raises ModelError when the file is missing, damaged, or of a kind of adapter that is not used here."""
    path = folder / CONFIG_FILE
    try:
        config = strict_json.decode(read_at_most(path, MAX_CONFIG_BYTES), _decoder)
    except ValueError as error:
        raise ModelError(f"adapter_config.json is damaged: {error}.", where=str(folder), hint=HINT) from None
    more = (config.use_dora, config.use_rslora, config.rank_pattern, config.alpha_pattern, config.modules_to_save)
    if any(more):
        raise ModelError("it is more than a plain LoRA adapter.", where=str(path), hint=HINT)
    return LoraSettings(rank=config.r, alpha=config.lora_alpha, target_modules=tuple(sorted(config.target_modules)))


def read_at_most(path: Path, limit: int) -> bytes:
    """A file's bytes. Raises ModelError when it is missing, unreadable, or larger than the limit."""
    try:
        return read_regular(path, limit)
    except FileNotFoundError:
        raise ModelError("the adapter is missing.", where=str(path), hint=HINT) from None
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}.", where=str(path), hint=HINT) from None


def tensors_in(data: bytes) -> dict[str, Tensor]:
    """The tensors in safetensors bytes. Raises ValueError when they are none that this program knows."""
    try:
        return load(data)
    except (SafetensorError, KeyError, RuntimeError) as error:  # damaged; a type that torch has not; a shape beyond its numbers
        raise ValueError(str(error)) from None


def check_tensors(lora: LoraSettings, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Raise ModelError unless every tensor is a finite factor of a target module, at the rank that the configuration says."""
    for name, tensor in tensors.items():
        found = TENSOR_NAME.fullmatch(name)
        if found is None or found["layer"].rsplit(".", 1)[-1] not in {one.rsplit(".", 1)[-1] for one in lora.target_modules}:
            raise ModelError("it holds a tensor that belongs to none of its target modules.", where=where, hint=HINT)
        if tensor.dim() != 2 or tensor.shape[found["factor"] == "B"] != lora.rank:
            raise ModelError(f"{name} has not rank {lora.rank}: its shape is {tuple(tensor.shape)}.", where=where, hint=HINT)
        if not tensor.isfinite().all():
            raise ModelError(f"{name} holds NaN or infinity.", where=where, hint="The adapter is damaged.")
    if not tensors:
        raise ModelError("it holds no tensors.", where=where, hint=HINT)


def check_fits(model: nn.Module, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Raise ModelError unless every tensor belongs to a linear layer that this model has, with that layer's width."""
    for name, tensor in tensors.items():
        layer, _, factor = name.removeprefix(PREFIX).removesuffix(".weight").rpartition(".lora_")
        try:
            module = model.get_submodule(layer)
        except AttributeError:
            module = None
        width = getattr(module, "in_features" if factor == "A" else "out_features", None)
        if width is None or tensor.shape[1 if factor == "A" else 0] != width:
            hint = "Use it with the base model that it was trained on."
            raise ModelError("the adapter was made for another base model.", where=where, hint=hint)
