"""Where a base model comes from: the bundled GGUF, a folder, or a hub id. Every source ends as a folder of safetensors.

The bundled SmolLM2-135M-Instruct is a 4-bit GGUF. transformers expands it, which takes some 15 s, so the result is kept as a
safetensors folder in the user cache and made again only when the GGUF changes.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from engine import locations
from engine.errors import ModelError
from engine.files import sha256_of
from engine.model.folder import weights_in

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.2"
OWN = ("auto", "bundled")
HUB_FILES = ["*.json", "*.safetensors", "tokenizer.model", "*.jinja"]


@dataclass(frozen=True)
class ModelFolder:
    """A folder that transformers can load, and what is known of it."""

    name: str
    path: Path
    source: str
    """`bundled`, `folder` or `hub`."""
    stored_bits: int
    """Bits per weight of the file it came from."""
    digest: str
    """SHA-256 of the weights' file or files."""
    stored_bytes: int


def resolve(source: str, *, cuda: bool) -> Iterator[str | ModelFolder]:
    """Find the model that a `model.source` setting means; yields what is being done, and at last the ModelFolder.

    Raises:
        ModelError: nothing usable there; says what was looked for and how to mend it.
    """
    if name := on_hub(source, cuda=cuda):
        yield f"fetching {name} from the model hub, if it is not there yet"
        yield _from_folder(_download(name), name=name.rsplit("/", 1)[-1], source="hub")
    elif source in OWN:
        yield from _bundled()
    else:
        yield "checking the model folder"
        yield _from_folder(Path(source).expanduser(), name=Path(source).name, source="folder")


def on_hub(source: str, *, cuda: bool) -> str:
    """The name on the model hub that a `model.source` setting means; empty for the bundled model or a folder."""
    if source in OWN:
        return MISTRAL if source == "auto" and cuda else ""
    return "" if _is_local(source) else source


def check_local(source: str) -> None:
    """What is seen of a source at a glance. Raises ModelError for a folder that holds no model."""
    if source not in OWN and _is_local(source):
        weights_in(Path(source).expanduser())


def _is_local(source: str) -> bool:
    return Path(source).expanduser().exists() or source.startswith((".", "/", "~"))


def _bundled() -> Iterator[str | ModelFolder]:
    gguf = locations.bundled_gguf()
    if gguf is None:
        raise ModelError(
            "the bundled base model is not installed.",
            where=locations.BUNDLED_PACKAGE,
            hint="Run `fedmed-tui model fetch`, or name a model folder with --model.",
        )
    yield "checking the bundled model"
    digest = sha256_of(gguf)
    if digest != locations.BUNDLED_SHA256:
        raise ModelError(
            "the bundled base model is damaged or of another version.",
            where=str(gguf),
            hint="Remove it and run `fedmed-tui model fetch`.",
        )
    target = locations.bundled_model_folder()
    if not (target / "complete").is_file():
        yield "expanding the bundled 4-bit weights (once, some 15 s)"
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(target.name + ".lock")):  # engines that start beside each other expand it once
            if not (target / "complete").is_file():
                _expand_gguf(gguf, target)
    yield ModelFolder(
        name="SmolLM2-135M-Instruct",
        path=target,
        source="bundled",
        stored_bits=4,
        digest=digest,
        stored_bytes=gguf.stat().st_size,
    )


def _expand_gguf(gguf: Path, target: Path) -> None:
    """Write the GGUF's model and tokenizer as an fp32 safetensors folder, atomically."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    work = target.with_name(target.name + ".partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # A fresh config: save_pretrained refuses a model that carries the gguf quantization mark.
    config = model.config.to_dict()
    config.pop("quantization_config", None)
    plain = type(model)(type(model.config)(**config))
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(work)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(work)
    (work / "complete").write_text("expanded from " + gguf.name, encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    work.rename(target)


def _from_folder(path: Path, *, name: str, source: str) -> ModelFolder:
    weights = weights_in(path)
    combined = hashlib.sha256()
    for file in (path / "config.json", *weights):
        combined.update(f"{file.name}:{sha256_of(file)}\n".encode())
    return ModelFolder(
        name=name,
        path=path,
        source=source,
        stored_bits=16,
        digest=combined.hexdigest(),
        stored_bytes=sum(file.stat().st_size for file in weights),
    )


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=HUB_FILES))
    except HFValidationError:
        raise ModelError(
            "is neither a folder nor a model hub id.", where=hub_id[:200], hint="Use `bundled`, a folder, or `owner/name`."
        ) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"could not be fetched from the model hub ({type(error).__name__}).",
            where=hub_id,
            hint="Check the id, the network and `hf auth login`; or name a local model folder with --model.",
        ) from None
