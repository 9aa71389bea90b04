"""A base model's folder of anybody's, before the library reads it: tensors in safetensors files of its own, and no code.

The library would follow an index of weights, a configuration or an adapter's configuration to other folders and to pickles.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from engine import strict_json
from engine.errors import ModelError
from engine.files import read_regular

HINT = "A model folder holds config.json, tokenizer files and *.safetensors."
MAX_JSON_BYTES = 2**26
"""An index names every tensor of the model."""
ADAPTER_CONFIG = "adapter_config.json"
KERNELS = ("attn_implementation", "_attn_implementation")
_decoder = msgspec.json.Decoder(dict[str, Any])


def weights_in(path: Path) -> list[Path]:
    """A model folder's weight files, sorted. Raises ModelError when it is none, or leads to other files than its own."""
    if not path.is_dir():
        raise ModelError("is no model folder.", where=str(path), hint=HINT)
    if not (path / "config.json").exists():
        raise ModelError("holds no config.json, so it is no model.", where=str(path), hint=HINT)
    _check_config(path)
    weights = sorted(file for file in path.glob("*.safetensors") if file.is_file())
    if not weights:
        raise ModelError("holds no *.safetensors; other weight formats are not loaded.", where=str(path), hint=HINT)
    for index in sorted(path.glob("*.safetensors.index.json")):
        _check_index(index, {file.name for file in weights})
    return weights


def _check_config(path: Path) -> None:
    config = _read(path / "config.json")
    if (path / ADAPTER_CONFIG).exists():
        raise ModelError("is an adapter, no base model.", where=str(path), hint=HINT)
    if "transformers_weights" in config:
        raise ModelError("config.json names other weights.", where=str(path), hint=HINT)
    if any("/" in str(config.get(name, "")) for name in KERNELS):
        raise ModelError("config.json asks for code of its own, which is never run.", where=str(path), hint=HINT)


def _check_index(index: Path, own: set[str]) -> None:
    files = _read(index).get("weight_map")
    if not isinstance(files, dict) or not own.issuperset(map(str, files.values())):
        raise ModelError(f"{index.name} names weights that are no *.safetensors of it.", where=str(index.parent), hint=HINT)


def _read(path: Path) -> dict[str, Any]:
    try:
        return strict_json.decode(read_regular(path, MAX_JSON_BYTES), _decoder)
    except (ValueError, OSError) as error:
        raise ModelError(f"{path.name} cannot be read: {error}.", where=str(path.parent), hint=HINT) from None
