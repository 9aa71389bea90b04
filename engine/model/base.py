"""The frozen base model, loaded once per engine process.

How its weights are held (`model.quantization`):

* `auto` on CUDA, or `nf4` anywhere: NF4 with double quantization by bitsandbytes, bf16 compute on CUDA (fp32 on a CPU).
* `auto` on a CPU: the stored weights, computed in bf16 where the processor has bf16 matrix instructions, else in fp32. NF4 on a
  CPU works but is many times slower.
* `none`: fp32 on a CPU, bf16 on CUDA.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase

from engine.errors import ModelError
from engine.model.sources import ModelFolder, on_hub, resolve
from engine.settings import ModelSettings


@dataclass
class BaseModel:
    """A loaded base model with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    folder: ModelFolder
    settings: ModelSettings
    quantization: str
    """In words, e.g. `4-bit weights, bf16 compute`."""
    parameters: int
    """Weights of the base model; packed 4-bit weights are counted one by one."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return torch.device(self.model.device)

    @property
    def bytes(self) -> int:
        """Bytes its weights take in memory."""
        return int(self.model.get_memory_footprint())


def load_base(settings: ModelSettings) -> Iterator[str | BaseModel]:
    """Load the base model; yields what is being done, and at last the BaseModel.

    Raises:
        ModelError: the model cannot be found or loaded, or the device is not there.
    """
    on_cuda = _on_cuda(settings)
    if settings.device == "cuda" and not on_cuda:
        raise ModelError("there is no usable CUDA card.", where="model.device", hint="Use --device cpu, or `auto`.")
    folder = None
    for step in resolve(settings.source, cuda=on_cuda):
        if isinstance(step, ModelFolder):
            folder = step
        else:
            yield step
    assert folder is not None
    yield f"loading {folder.name}"
    how = _how_to_load(settings, folder, on_cuda=on_cuda)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder.path, trust_remote_code=False)
        model, found = AutoModelForCausalLM.from_pretrained(
            folder.path, use_safetensors=True, trust_remote_code=False, output_loading_info=True, **how.arguments
        )
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # the library raises many kinds for a damaged folder
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:300]
        raise _unloadable(folder, reason) from error
    if missing := sorted(found["missing_keys"]):
        raise _unloadable(folder, f"{len(missing)} of its tensors are missing, the first is {missing[0]}")
    if tokenizer.chat_template is None:
        raise ModelError("the tokenizer has no chat template.", where=str(folder.path), hint="Use an instruction-tuned model.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.requires_grad_(False)
    model.eval()
    yield BaseModel(
        model=model,
        tokenizer=tokenizer,
        folder=folder,
        settings=settings,
        quantization=how.words,
        parameters=model.num_parameters(),
    )


def _unloadable(folder: ModelFolder, reason: str) -> ModelError:
    hint = "Check that the folder is a complete causal language model."
    return ModelError(f"the model cannot be loaded: {reason.rstrip('.')}.", where=str(folder.path), hint=hint)


def hub_model(settings: ModelSettings) -> str:
    """The name under which `load_base` would ask the model hub; empty where it has no need to."""
    return on_hub(settings.source, cuda=_on_cuda(settings))


def _on_cuda(settings: ModelSettings) -> bool:
    return settings.device != "cpu" and torch.cuda.is_available()


@dataclass(frozen=True)
class _Loading:
    arguments: dict[str, Any]
    words: str


def _how_to_load(settings: ModelSettings, folder: ModelFolder, *, on_cuda: bool) -> _Loading:
    device_map = {"": 0} if on_cuda else {"": "cpu"}
    if settings.quantization == "nf4" or (settings.quantization == "auto" and on_cuda):
        compute = torch.bfloat16 if on_cuda else torch.float32
        config = nf4_config(compute)
        return _Loading(
            {"quantization_config": config, "dtype": compute, "device_map": device_map}, f"NF4 4-bit, {_short(compute)} compute"
        )
    fast_bf16 = on_cuda or (settings.quantization == "auto" and cpu_has_bf16())
    dtype = torch.bfloat16 if fast_bf16 else torch.float32
    return _Loading({"dtype": dtype, "device_map": device_map}, f"{folder.stored_bits}-bit weights, {_short(dtype)} compute")


def nf4_config(compute: torch.dtype) -> BitsAndBytesConfig:
    """NF4 with double quantization (Dettmers et al. 2023, QLoRA)."""
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=compute
    )


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bf16 matrices in hardware. Without that, bf16 is slower than fp32."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _short(dtype: torch.dtype) -> str:
    return {torch.bfloat16: "bf16", torch.float32: "fp32"}[dtype]
