"""What travels over the network, as bytes: one safetensors file a message, its header in the file's metadata.

Tensors are named arrays `group|name`; the header is JSON of one of a closed list of types (with Infinity, which
the error of a single pair's gain is). Reading a message checks its size, its
header, and that every tensor is a finite-length fp32 array of a plausible name; shapes are checked against the model by whoever
holds it (`AdapterBank.check`). Nothing here can run code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct
from safetensors.torch import save
from torch import Tensor

from engine.errors import ProtocolError
from engine.federated.flare.policy import Rule
from engine.federated.update import Cause, Slice
from engine.model.adapters import Adapter
from engine.model.foreign import tensors_in
from engine.protocol import HospitalInfo
from engine.settings import RunConfig

WIRE_VERSION = 2
MAX_BYTES = 512 * 1024 * 1024
"""Of one message: five times the adapter of a 70B model."""
MAX_HEADER = 1024 * 1024
TENSOR_NAME = re.compile(r"[a-z0-9]{1,20}\|[A-Za-z0-9_.]{1,300}\.lora_[AB]\.weight")
HEADER = "message"

Groups = dict[str, Adapter]


class Join(Struct, frozen=True, tag=True):
    """Coordinator → hospital, before round 1: the run, and the model that everybody must have."""

    run: str
    config: RunConfig
    digest: str
    quantization: str
    tokenizer: str
    """SHA-256 of the tokenizer's files' content."""
    wire: int = WIRE_VERSION


class Joined(Struct, frozen=True, tag=True):
    """Hospital → coordinator: counts, and what it has. Whether they agree is for the coordinator to see."""

    info: HospitalInfo
    digest: str
    quantization: str
    tokenizer: str
    wire: int
    start: str = ""
    """Digest of the adapter with which a run of this seed begins: made by the hospital itself, it need not travel."""


class Train(Struct, frozen=True, tag=True):
    """An `Assignment` without its tensors. A start adapter that the hospital has already (see `digest`) does not travel again."""

    start: str
    """Digest of the start adapter."""
    round: int
    trains: tuple[str, ...]
    held: int


class Trained(Struct, frozen=True, tag=True):
    """An `Update` without its tensors."""

    pairs: int
    steps: int
    loss: float
    variance: float
    tokens: int
    seconds: float
    round: int


class Evaluate(Struct, frozen=True, tag=True):
    """Measure the loss of an adapter: the one that comes with it, or one that the hospital has already."""

    adapter: str
    """Its digest."""


class Measured(Struct, frozen=True, tag=True):
    """An `Evaluation`."""

    loss: float
    pairs: int
    tokens: int


class Assess(Struct, frozen=True, tag=True):
    """An `Assessment` without its tensors: the same for all voters, so that it is packed and kept once."""

    round: int
    vectors: tuple[tuple[float, ...], ...]
    part: Slice
    pairs: int
    tokens: dict[str, int]
    slopes: bool


class Judged(Struct, frozen=True, tag=True):
    """A `Verdict`."""

    losses: tuple[float, ...]
    gains: tuple[float, ...]
    errors: tuple[float, ...]
    slopes: tuple[float, ...]
    pairs: int
    tokens: int
    seconds: float


class Refused(Struct, frozen=True, tag=True):
    """The hospital's policy says no."""

    rule: Rule


class Missing(Struct, frozen=True, tag=True):
    """The hospital has not the adapter that did not travel again: its engine was restarted in between."""


class Broken(Struct, frozen=True, tag=True):
    """An exception ended the hospital's work: its type, what that stands for, and nothing else."""

    name: str
    cause: Cause


Header = Join | Joined | Train | Trained | Evaluate | Measured | Assess | Judged | Refused | Missing | Broken


def pack(header: Header, groups: Mapping[str, Adapter] | None = None) -> bytes:
    """The message as bytes; same message, same bytes."""
    tensors = {f"{group}|{name}": one for group, adapter in (groups or {}).items() for name, one in adapter.items()}
    named = {name: tensors[name].contiguous() for name in sorted(tensors)}
    return bytes(save(named, metadata={HEADER: json.dumps(msgspec.to_builtins(header))}))


def unpack(data: bytes, *, where: str) -> tuple[Header, Groups]:
    """The header, and the tensors by group. Raises ProtocolError saying what is wrong with it."""
    if len(data) > MAX_BYTES:
        raise ProtocolError(f"a message of {len(data):,} bytes is longer than allowed.", where=where)
    try:
        header = msgspec.convert(json.loads(_metadata(data)), type=Header)
        tensors = tensors_in(data)
        msgspec.json.encode(header)  # text that is no Unicode could not be told in an event
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProtocolError(f"not a message of this protocol: {type(error).__name__}.", where=where) from None
    groups: dict[str, dict[str, Tensor]] = {}
    for name in sorted(tensors):
        if not TENSOR_NAME.fullmatch(name) or str(tensors[name].dtype) != "torch.float32":
            raise ProtocolError("a tensor of it is no adapter tensor.", where=where)
        group, _, plain = name.partition("|")
        groups.setdefault(group, {})[plain] = tensors[name]
    return header, dict(groups)


def version_of(invitation: bytes) -> int | None:
    """The protocol version that an invitation names, before anything that may be otherwise in it is read; None without one."""
    try:
        version = json.loads(_metadata(invitation))["wire"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return version if isinstance(version, int) else None


def _metadata(data: bytes) -> str:
    """The header text inside a safetensors file: 8 bytes of length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER:
        raise ValueError("header too long")
    return str(json.loads(data[8 : 8 + length])["__metadata__"][HEADER])
