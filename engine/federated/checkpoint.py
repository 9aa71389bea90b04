"""A run's folder: manifest, events, one checkpoint a round, adapters. A `kill -9` at any moment loses at most a round.

    output-models/<run>/
      manifest.json                      what the run is and how far it came
      events.jsonl                       its events, one line each
      rounds/001/global.safetensors      the global adapter after round 1
      rounds/001/state.json              its checksum, the settings' hash, seconds spent, the aggregator's memory
      rounds/001/carried.safetensors     tensors that the next round needs besides, if any (server optimizer, scaffold)
      global/  hospital_A/final/ …       PEFT folders of the newest round

A round counts as done once `rounds/NNN` exists: it is prepared under another name and renamed as a whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import filelock
import msgspec

from engine import locations
from engine.aggregation.memory import Memory
from engine.errors import ModelError, RunError
from engine.files import disk_error, sync_folder, write_atomically
from engine.manifest import Manifest
from engine.model.adapters import Adapter, from_bytes, to_bytes
from engine.protocol import GLOBAL, AnyEvent, RoundFinished, Stamped, decode_event, encode_event
from engine.settings import RunConfig

SCHEMA = 1
CARRIED = "carried.safetensors"


class RoundState(msgspec.Struct, kw_only=True):
    """A checkpoint beside its tensors."""

    round: int
    sha256: str
    """Of global.safetensors."""
    settings_hash: str
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
    schema: int = SCHEMA


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
        self._lock = filelock.FileLock(self.path / ".lock", timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
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

    # --- manifest --------------------------------------------------------------------------------------------------------------

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace manifest.json."""
        write_atomically(self.path / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=2))

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
        shutil.rmtree(final, ignore_errors=True)
        work.rename(final)
        sync_folder(final.parent)

    def newest_round(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest usable checkpoint, and a sentence for each damaged one that was set aside."""
        complaints: list[str] = []
        for folder in sorted((self.path / "rounds").glob("[0-9][0-9][0-9]*"), reverse=True):
            if not folder.name.isdigit():
                continue
            try:
                return read_round(folder), complaints
            except (ModelError, RunError) as error:
                aside = folder.with_name(f"{folder.name}.damaged-{int(time.time())}")
                folder.rename(aside)
                complaints.append(f"Round {int(folder.name)} is damaged ({error.message}) and was set aside as {aside.name}.")
        return None, complaints

    def _round_folder(self, number: int) -> Path:
        return self.path / "rounds" / f"{number:03d}"


def adapter_folder(run_path: Path, adapter: str) -> Path:
    """The PEFT folder of `global` or of a hospital's newest adapter in a run's folder."""
    return run_path / GLOBAL if adapter == GLOBAL else run_path / f"hospital_{adapter}" / "final"


def read_round(folder: Path) -> Checkpoint:
    """One round's checkpoint. Raises RunError or ModelError when it is damaged."""
    try:
        state = msgspec.json.decode((folder / "state.json").read_bytes(), type=RoundState)
        data = (folder / "global.safetensors").read_bytes()
        extra = (folder / CARRIED).read_bytes() if state.carried_sha256 else b""
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunError(f"cannot be read: {error}", where=str(folder)) from None
    if hashlib.sha256(data).hexdigest() != state.sha256:
        raise RunError("its checksum does not match", where=str(folder))
    if extra and hashlib.sha256(extra).hexdigest() != state.carried_sha256:
        raise RunError("the checksum of its carried tensors does not match", where=str(folder))
    carried = _nested(from_bytes(extra, where=str(folder))) if extra else {}
    return Checkpoint(adapter=from_bytes(data, where=str(folder)), state=state, carried=carried)


def _flat(carried: Mapping[str, Adapter]) -> Adapter:
    """`{set: {tensor: …}}` as `{set|tensor: …}`."""
    return {f"{kind}|{name}": tensor for kind, adapter in carried.items() for name, tensor in adapter.items()}


def _nested(flat: Adapter) -> dict[str, Adapter]:
    carried: dict[str, Adapter] = {}
    for key, tensor in flat.items():
        kind, _, name = key.partition("|")
        carried.setdefault(kind, {})[name] = tensor
    return carried


def settings_hash(config: RunConfig) -> str:
    """SHA-256 over every setting that changes the result."""
    return hashlib.sha256(msgspec.json.encode(config)).hexdigest()


class EventLog:
    """A run's `events.jsonl`: appended line by line, repaired when the last line is torn."""

    def __init__(self, path: Path) -> None:
        """Open for appending after the last whole line."""
        self._path = path
        try:
            self._seq, self.finished_round = _repair(path)
            self._file = path.open("ab")
        except OSError as error:
            raise disk_error(path, error) from None

    def append(self, event: AnyEvent) -> None:
        """Write one event, numbered by its place in this file. Raises RunError when the disk refuses."""
        self._seq += 1
        try:
            self._file.write(encode_event(Stamped(seq=self._seq, time=time.time(), event=event)))
            self._file.flush()
            if isinstance(event, RoundFinished):
                os.fsync(self._file.fileno())
        except OSError as error:
            raise disk_error(self._path, error) from None

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # what a full disk did not take was reported by append
            self._file.close()


def _repair(path: Path) -> tuple[int, int]:
    """Cut a torn last line off. Returns the last event's number and the last finished round, 0 where there is none."""
    if not path.exists():
        return 0, 0
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole != len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    seq, finished = 0, 0
    for line in data[:whole].splitlines():
        stamped = decode_event(line)
        seq = stamped.seq
        if isinstance(stamped.event, RoundFinished):
            finished = stamped.event.round
    return seq, finished
