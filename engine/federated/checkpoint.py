"""A run's folder: manifest, events, one checkpoint a round, adapters. A `kill -9` at any moment loses at most a round.

    output-models/<run>/
      manifest.json                      what the run is and how far it came
      events.jsonl                       its events, one line each
      rounds/001/global.safetensors      the global adapter after round 1
      rounds/001/state.json              its checksum, the settings' hash, seconds spent, the aggregator's memory
      rounds/001/carried.safetensors     tensors that the next round needs besides, if any (server optimizer, scaffold)
      global/  hospital_A/final/ …       PEFT folders of the newest round
      .updates.partial/                  updates of the round in progress (`engine.federated.spool`)

A round counts as done once `rounds/NNN` exists: it is prepared under another name and renamed as a whole.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

import filelock
import msgspec
from torch import Tensor

from engine import locations, strict_json
from engine.aggregation.memory import Memory
from engine.data.pairs import folder_of
from engine.errors import ModelError, RunError
from engine.files import REMOVE_LINK, disk_error, read_regular, sync_folder, write_atomically
from engine.manifest import FILE as MANIFEST
from engine.manifest import LOCK, Manifest
from engine.model.adapters import Adapter, from_bytes, to_bytes
from engine.model.foreign import MAX_WEIGHTS_BYTES
from engine.protocol import GLOBAL, RoundFinished, RoundSetAside
from engine.settings import RunConfig
from engine.version import __version__

SCHEMA = 2
LOCK_SECONDS = 0.5
"""A screen that looks whether a run is in progress holds the lock for a moment."""
MAY_CHANGE = ("training.rounds", "model.device", "federation")
"""Settings that may differ when a run goes on."""
CARRIED = "carried.safetensors"


class RoundState(msgspec.Struct, kw_only=True):
    """A checkpoint beside its tensors."""

    round: int
    sha256: str
    """Of global.safetensors."""
    settings_hash: str
    """Of the settings that may not change."""
    settings: dict[str, Any]
    """All of them, so that a change can be named."""
    finished: RoundFinished
    """What was said of the round, so that a crash between the checkpoint and its event loses nothing."""
    seconds: float
    """Time in rounds so far, all sessions together."""
    weights: dict[str, float]
    losses: dict[str, float] = {}
    """By hospital, the validation loss of this adapter."""
    fingerprints: dict[str, str] = {}
    """Of the round's updates, by hospital: a hospital that sends an old one again is noticed."""
    memory: Memory = Memory()
    """What the aggregator carries to the next round."""
    carried_sha256: str = ""
    """Of carried.safetensors; empty when there is none."""
    version: str = __version__
    """Of the program that wrote it."""
    schema: int = SCHEMA


class SchemaError(RunError):
    """A checkpoint that another version of the program wrote. It is not damaged."""


@dataclass(frozen=True)
class Checkpoint:
    """The newest usable round of a run."""

    adapter: Adapter
    state: RoundState
    carried: dict[str, Adapter] = field(default_factory=dict)


class RunFolder:
    """One run's folder, locked to this process until the `with` block ends."""

    def __init__(self, run: str) -> None:
        """Lock the folder. Raises RunError when another engine works on this run or the disk refuses."""
        self.run = run
        self.path = locations.run_folder(run)
        self._lock = filelock.FileLock(self.path / LOCK, timeout=LOCK_SECONDS)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            self._sweep()
        except filelock.Timeout:
            raise RunError(
                "another engine is working on this run.", where=str(self.path), hint="Watch it there, or stop it first."
            ) from None
        except OSError as error:
            raise disk_error(self.path, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _sweep(self) -> None:
        """Remove what a killed engine was writing when it died. Raises RunError when something in it leads elsewhere."""
        if link := next((path for path in self.path.rglob("*") if path.is_symlink()), None):
            raise RunError("a run's folder holds no links.", where=str(link), hint=REMOVE_LINK)
        for left in list(self.path.rglob(".*.partial")):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)

    def require(self) -> None:
        """Raise RunError when the folder was taken away: it must not come into being again without its beginning."""
        if not (self.path / MANIFEST).exists():
            hint = "Put the folder back and resume the run; what was done since its last round is done again."
            raise RunError("the run's folder is gone.", where=str(self.path), hint=hint)

    # --- manifest --------------------------------------------------------------------------------------------------------------

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace manifest.json."""
        write_atomically(self.path / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))

    def adapter_folder(self, adapter: str) -> Path:
        """The PEFT folder of `global` or of a hospital's newest adapter."""
        return adapter_folder(self.path, adapter)

    # --- rounds ----------------------------------------------------------------------------------------------------------------

    def save_round(self, adapter: Adapter, state: RoundState, carried: Mapping[str, Adapter] | None = None) -> None:
        """Commit a round. `carried` are named sets of tensors that the next round needs besides the adapter."""
        final = self._round_folder(state.round)
        work = final.with_name(f".{final.name}.partial")
        try:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
        except OSError as error:
            raise disk_error(work, error) from None
        write_atomically(work / "global.safetensors", to_bytes(adapter))
        if carried:
            data = to_bytes(_flat(carried))
            state = msgspec.structs.replace(state, carried_sha256=hashlib.sha256(data).hexdigest())
            write_atomically(work / CARRIED, data)
        write_atomically(work / "state.json", msgspec.json.format(msgspec.json.encode(state), indent=2))
        try:
            shutil.rmtree(final, ignore_errors=True)
            work.rename(final)
            sync_folder(final.parent)
        except OSError as error:
            raise disk_error(final, error) from None

    def newest_round(self) -> tuple[Checkpoint | None, list[RoundSetAside]]:
        """The newest usable checkpoint, and each damaged one that was set aside.

        Raises RunError when the disk refuses, or another version of the program wrote the round.
        """
        aside: list[RoundSetAside] = []
        folders = (folder for folder in (self.path / "rounds").glob("[0-9][0-9][0-9]*") if folder.name.isdecimal())
        for folder in sorted(folders, key=lambda folder: int(folder.name), reverse=True):
            try:
                return read_round(folder), aside
            except SchemaError:
                raise
            except (ModelError, RunError) as error:
                aside.append(RoundSetAside(round=int(folder.name), name=_set_aside(folder), reason=error.message.rstrip(".")))
        return None, aside

    def _round_folder(self, number: int) -> Path:
        return self.path / "rounds" / f"{number:03d}"


def _set_aside(folder: Path) -> str:
    """Rename a damaged round; returns its new name."""
    names = (f"{folder.name}.damaged-{number}" for number in count(1))
    free = next(name for name in names if not folder.with_name(name).exists())
    try:
        folder.rename(folder.with_name(free))
    except OSError as error:
        raise disk_error(folder, error) from None
    return free


def adapter_folder(run_path: Path, adapter: str) -> Path:
    """The PEFT folder of `global` or of a hospital's newest adapter in a run's folder. Raises DataError when that is no name."""
    return run_path / GLOBAL if adapter == GLOBAL else run_path / folder_of(adapter) / "final"


def read_round(folder: Path) -> Checkpoint:
    """One round's checkpoint. Raises SchemaError when another version wrote it, RunError or ModelError when it is damaged."""
    try:
        text = read_regular(folder / "state.json", MAX_WEIGHTS_BYTES)
        _check_schema(text, folder)
        state = strict_json.decode(text, _decoder)
        data = read_regular(folder / "global.safetensors", MAX_WEIGHTS_BYTES)
        extra = read_regular(folder / CARRIED, MAX_WEIGHTS_BYTES) if state.carried_sha256 else b""
    except (OSError, ValueError) as error:
        raise RunError(f"cannot be read: {error}", where=str(folder)) from None
    if folder.name.isdecimal() and state.round != int(folder.name):
        raise RunError(f"it says that it is round {state.round}", where=str(folder))
    if hashlib.sha256(data).hexdigest() != state.sha256:
        raise RunError("its checksum does not match", where=str(folder))
    if state.carried_sha256 and hashlib.sha256(extra).hexdigest() != state.carried_sha256:
        raise RunError("the checksum of its carried tensors does not match", where=str(folder))
    carried = _nested(from_bytes(extra, where=str(folder))) if extra else {}
    return Checkpoint(adapter=from_bytes(data, where=str(folder)), state=state, carried=carried)


def _check_schema(text: bytes, folder: Path) -> None:
    schema = strict_json.decode(text, _schema_decoder).schema
    if schema != SCHEMA:
        raise SchemaError(
            f"was written with schema {schema}, this program reads {SCHEMA}.",
            where=str(folder),
            hint="Go on with the version of fedmed-tui that began the run, or start a new run.",
        )


class _Schema(msgspec.Struct):
    schema: int


_decoder = msgspec.json.Decoder(RoundState)
_schema_decoder = msgspec.json.Decoder(_Schema)


def _flat(carried: Mapping[str, Adapter]) -> Adapter:
    """`{set: {tensor: …}}` as `{set|tensor: …}`."""
    return {f"{kind}|{name}": tensor for kind, adapter in carried.items() for name, tensor in adapter.items()}


def _nested(flat: Adapter) -> dict[str, Adapter]:
    carried: dict[str, dict[str, Tensor]] = {}
    for key, tensor in flat.items():
        kind, _, name = key.partition("|")
        carried.setdefault(kind, {})[name] = tensor
    return dict(carried)


def settings_hash(config: RunConfig) -> str:
    """SHA-256 over every setting that may not change while a run goes on."""
    fixed = {name: value for name, value in plain_settings(msgspec.to_builtins(config)).items() if not _may_change(name)}
    return hashlib.sha256(msgspec.json.encode(fixed, order="sorted")).hexdigest()


def changed_settings(then: dict[str, Any], now: RunConfig) -> list[str]:
    """`training.learning_rate was 0.002, is 0.5`, for each setting that may not change and did."""
    before, after = plain_settings(then), plain_settings(msgspec.json.decode(msgspec.json.encode(now)))
    return [
        f"{name} was {before.get(name)}, is {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and not _may_change(name)
    ]


def plain_settings(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted names."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= plain_settings(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _may_change(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in MAY_CHANGE)
