"""Adapters on one base model: attach by name, read, write, switch, save, load.

An adapter's tensors are named as the public peft library names them in `adapter_model.safetensors`:
`base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` has shape (rank, in) and `…lora_B.weight` (out, rank), fp32.
Such a mapping is what hospitals and the coordinator exchange: a dict, or a file that is read tensor by tensor (`Stored`).
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save as save_bytes
from torch import Tensor

from engine.alarm import whole
from engine.errors import ModelError, RunError
from engine.files import disk_error, write_atomically
from engine.model.base import BaseModel
from engine.model.fast_blocks import with_fast_dropout
from engine.model.foreign import (
    CONFIG_FILE,
    MAX_WEIGHTS_BYTES,
    WEIGHTS_FILE,
    check_tensors,
    read_at_most,
    read_config,
    tensors_in,
)
from engine.protocol import BASE
from engine.settings import LoraSettings

Adapter = Mapping[str, Tensor]
TRAINING = "in_training"
"""The slot in which local training happens; finished adapters are copied to slots of their own."""


class AdapterBank:
    """A base model with named adapter slots. Exactly one slot, or the base alone, is active at a time."""

    def __init__(self, base: BaseModel, lora: LoraSettings) -> None:
        """Attach the training slot. Raises ModelError when the target modules are not in the model."""
        self.base = base
        self.lora = lora
        try:
            self.peft: PeftModel = get_peft_model(base.model, peft_config(lora), adapter_name=TRAINING)
        except ValueError as error:
            raise ModelError(
                f"the adapter does not fit the model: {str(error).splitlines()[0][:300]}",
                where="lora.target_modules",
                hint="Name linear layers that the base model has, e.g. q_proj and v_proj.",
            ) from None
        with_fast_dropout(self.peft, TRAINING)
        self._made = {TRAINING: lora}
        """By slot, the shape that it was made with."""
        self._active: tuple[str, bool] = ("", False)
        self.use(TRAINING, training=False)

    def __contains__(self, name: str) -> bool:
        """Whether there is a slot of this name."""
        return name in self.peft.peft_config

    @property
    def trainable(self) -> int:
        """Parameters of one adapter."""
        return sum(tensor.numel() for tensor in self.get(TRAINING).values())

    @whole
    def use(self, name: str, *, training: bool) -> None:
        """Make a slot (or `base` alone) answer the next forward pass, with dropout and gradients if `training`."""
        if self._active == (name, training):
            return
        tuner = self.peft.base_model
        if name == BASE:
            tuner.disable_adapter_layers()
        else:
            tuner.enable_adapter_layers()
            tuner.set_adapter(name)
        self.peft.train(training)
        for parameter_name, parameter in self.peft.named_parameters():
            if ".lora_" in parameter_name:
                parameter.requires_grad_(training and f".{name}." in parameter_name)
        self._active = (name, training)

    def parameters(self) -> list[torch.nn.Parameter]:
        """The training slot's parameters, in a fixed order."""
        named = sorted((name, p) for name, p in self.peft.named_parameters() if f".{TRAINING}." in name and ".lora_" in name)
        return [parameter for _, parameter in named]

    def get(self, name: str) -> Adapter:
        """A copy of a slot's tensors, fp32 on the CPU, sorted by name."""
        state = get_peft_model_state_dict(self.peft, adapter_name=name)
        return {key: state[key].detach().to("cpu", torch.float32, copy=True) for key in sorted(state)}

    def release(self) -> BaseModel:
        """Take every adapter off and give the base model back."""
        self.peft.unload()
        return self.base

    @whole
    def put(self, name: str, adapter: Adapter, lora: LoraSettings | None = None) -> None:
        """Fill a slot, making it first when it is new or of another shape. `lora` is the adapter's own shape."""
        lora = lora or fitted(self.lora, adapter)
        if name in self and _shape(self._made[name]) != _shape(lora):
            self.peft.delete_adapter(name)
        if name not in self:
            self.peft.add_adapter(name, peft_config(lora))
            self._made[name] = lora
            with_fast_dropout(self.peft, name)
        set_peft_model_state_dict(self.peft, dict(adapter), adapter_name=name)
        self._active = ("", False)

    def initial(self, seed: int) -> Adapter:
        """A fresh adapter: A uniform as in peft's default (Kaiming, a = sqrt 5), B zero, so that it changes nothing yet.

        Each tensor's numbers depend only on the seed and on its name, never on what was drawn before.
        """
        fresh: dict[str, Tensor] = {}
        for key, shape in self._shapes(self.lora.rank).items():
            fresh[key] = torch.zeros(shape)
            if ".lora_A." in key:
                generator = torch.Generator().manual_seed((seed << 32) ^ zlib.crc32(key.encode()))
                bound = 1 / math.sqrt(shape[1])  # kaiming_uniform with a = sqrt(5) comes down to this
                fresh[key].uniform_(-bound, bound, generator=generator)
        return fresh

    def _shapes(self, rank: int) -> dict[str, tuple[int, ...]]:
        """Shapes of an adapter's tensors at a rank, sorted by name."""
        return {
            key: (rank, tensor.shape[1]) if ".lora_A." in key else (tensor.shape[0], rank)
            for key, tensor in self.get(TRAINING).items()
        }

    def check(self, adapter: Adapter, *, where: str) -> None:
        """Raise ModelError unless the tensors have this bank's names and, at a rank of their own, its shapes, and are finite."""
        expected = self._shapes(fitted(self.lora, adapter).rank)
        given = {key: tuple(tensor.shape) for key, tensor in adapter.items()}
        hint = "It was made for another base model or LoRA shape."
        if expected.keys() != given.keys():
            odd = sorted(expected.keys() ^ given.keys())[0]
            raise ModelError(f"the adapter's tensors are not this model's: {odd}.", where=where, hint=hint)
        for key, shape in expected.items():
            if given[key] != shape:
                raise ModelError(f"{key} has shape {given[key]}, expected {shape}.", where=where, hint=hint)
            if not torch.isfinite(adapter[key]).all():
                raise ModelError(f"{key} holds NaN or infinity.", where=where, hint="The adapter is damaged.")

    def save(self, adapter: Adapter, folder: Path) -> None:
        """Write a PEFT folder that `PeftModel.from_pretrained` opens, each file atomically.

        Raises RunError when the disk refuses.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(folder, error) from None
        config = peft_config(fitted(self.lora, adapter)).to_dict() | {
            "base_model_name_or_path": self.base.folder.name,
            "inference_mode": True,
        }
        text = json.dumps(config, indent=2, sort_keys=True, default=_plain)
        write_atomically(folder / CONFIG_FILE, text.encode())
        write_atomically(folder / WEIGHTS_FILE, to_bytes(adapter))


def fitted(lora: LoraSettings, adapter: Adapter) -> LoraSettings:
    """The shape with the adapter's own rank and the same scale alpha / rank."""
    rank = next((int(tensor.shape[0]) for key, tensor in adapter.items() if ".lora_A." in key and tensor.dim()), lora.rank)
    return lora if rank == lora.rank else msgspec.structs.replace(lora, rank=rank, alpha=lora.alpha / lora.rank * rank)


def load_adapter(folder: Path) -> tuple[LoraSettings, Adapter]:
    """Read a PEFT folder. Raises ModelError naming the file when it is missing, damaged, or not what its configuration says."""
    lora, path = read_config(folder), folder / WEIGHTS_FILE
    tensors = from_bytes(read_at_most(path, MAX_WEIGHTS_BYTES), where=str(path))
    check_tensors(lora, tensors, where=str(path))
    return lora, tensors


class Stored(Mapping[str, Tensor]):
    """An fp32 adapter in a file of its own. A tensor is read whenever it is asked for, and none is kept."""

    def __init__(self, adapter: Adapter, path: Path) -> None:
        """Write the file. It is not made safe against a power cut. Raises RunError when the disk refuses."""
        data = to_bytes(adapter)
        self.digest, self._path = hashlib.sha256(data).hexdigest(), path
        self._places = _places(data[: 8 + int.from_bytes(data[:8], "little")])
        try:
            path.write_bytes(data)
        except OSError as error:
            raise disk_error(path, error) from None

    def __getitem__(self, name: str) -> Tensor:
        """Read one tensor. Raises RunError when the file is gone or damaged."""
        begin, shape = self._places[name]
        tensor = torch.empty(shape)
        try:
            with self._path.open("rb", buffering=0) as file:  # ten times as fast as safetensors' safe_open
                file.seek(begin)
                whole = file.readinto(tensor.numpy().data.cast("B")) == tensor.nbytes
        except OSError:
            whole = False
        if not whole:
            hint = "Resume the run; what was done since its last round is done again."
            raise RunError("a file of the round in progress is gone or damaged.", where=str(self._path), hint=hint)
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@lru_cache(maxsize=4)
def _places(header: bytes) -> Mapping[str, tuple[int, list[int]]]:
    """Where tensors begin in a safetensors file, and their shapes: a length in 8 bytes, JSON of that length, then the numbers.

    One table serves all adapters of a shape.
    """
    listed = json.loads(header[8:])
    return {name: (len(header) + listed[name]["data_offsets"][0], listed[name]["shape"]) for name in sorted(listed)}


def to_bytes(adapter: Adapter) -> bytes:
    """The adapter as safetensors. Same tensors, same bytes."""
    return bytes(save_bytes({key: adapter[key].contiguous() for key in sorted(adapter)}))


def digest_of(adapter: Adapter) -> str:
    """SHA-256 of the adapter's bytes: equal for equal tensors."""
    return adapter.digest if isinstance(adapter, Stored) else hashlib.sha256(to_bytes(adapter)).hexdigest()


def from_bytes(data: bytes, *, where: str) -> Adapter:
    """The adapter in safetensors bytes. Raises ModelError when they are no safetensors."""
    try:
        tensors = tensors_in(data)
    except ValueError as error:
        raise ModelError(f"is damaged or no safetensors file: {error}.", where=where, hint="Use an undamaged copy.") from None
    if not all(tensor.is_floating_point() for tensor in tensors.values()):
        raise ModelError("holds tensors that are no floating-point numbers.", where=where, hint="Use an undamaged copy.")
    return {key: tensors[key].to(torch.float32) for key in sorted(tensors)}


def size_of(adapter: Adapter) -> int:
    """Bytes of the tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in adapter.values())


def peft_config(lora: LoraSettings) -> LoraConfig:
    """The adapter's shape in the peft library's words."""
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules),
    )


def _shape(lora: LoraSettings) -> tuple[int, float, frozenset[str]]:
    """What a slot is made for; its numbers alone can be exchanged."""
    return lora.rank, lora.alpha, frozenset(lora.target_modules)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else str(value)
