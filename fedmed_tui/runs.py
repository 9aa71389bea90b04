"""Run folders, read without the engine: which runs there are, what happened in one, which adapters it left.

Nothing here writes. The engine owns a run folder while it trains; a reader may come at any moment, so `events.jsonl` may end in
a torn line.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import filelock

from engine import locations
from engine.errors import ProtocolError, RunError
from engine.manifest import FILE, LOCK, Manifest, read_manifest
from engine.protocol import GLOBAL, Stamped, decode_event
from engine.settings import RunConfig
from fedmed_tui.state import RunState

EVENTS = "events.jsonl"
ADAPTER_FILE = "adapter_model.safetensors"


def new_run_name(config: RunConfig, now: float | None = None) -> str:
    """A name that sorts by time: `demo-20260131-142501`."""
    return f"{config.preset or 'run'}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}"


def list_runs() -> list[Manifest]:
    """Every readable run, newest first. A folder without a manifest is no run; see `unreadable_runs` for the others."""
    found = [one for one in _manifests() if isinstance(one, Manifest)]
    return sorted(found, key=lambda manifest: (manifest.created, manifest.run), reverse=True)


def unreadable_runs() -> list[RunError]:
    """Why runs are left out of `list_runs`: each names its manifest, of another version or damaged."""
    return [one for one in _manifests() if isinstance(one, RunError)]


def _manifests() -> Iterator[Manifest | RunError]:
    """Of every run, by name; in place of one that cannot be read, why."""
    for path in sorted(locations.runs_folder().glob(f"*/{FILE}")):
        try:
            yield load_manifest(path.parent.name)
        except RunError as error:
            yield error


def load_manifest(run: str) -> Manifest:
    """Raises RunError when there is no such run or its manifest cannot be read."""
    folder = locations.run_folder(run)
    manifest = read_manifest(folder)
    if manifest.status == "running" and not _worked_on(folder):
        manifest.status = "interrupted"  # its engine was killed
    return manifest


def _worked_on(folder: Path) -> bool:
    """Whether an engine holds the run's lock. The lock is tried for a moment, which engines wait out."""
    if not (folder / LOCK).exists():
        return False
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    try:
        with lock:
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return False  # nobody can work in a folder that cannot be written


def load_events(run: str) -> list[Stamped]:
    """The run's events, in order. A torn last line, left by a kill, is left out.

    Raises:
        RunError: no such run, no events, or a damaged line before the last; names file and line.
    """
    path = _existing(run) / EVENTS
    lines = _read(path).split(b"\n")
    events = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            events.append(decode_event(line))
        except ProtocolError as error:
            if number == len(lines):  # no newline behind it: it was being written
                break
            raise RunError(error.message, where=f"{path}, line {number}", hint=error.hint or "Restore it from a copy.") from None
    return events


class Reader:
    """Reads on in a record that an engine writes.

    Args:
        run: whose record.
        seq: number of the newest event that is known.
    """

    def __init__(self, run: str, seq: int) -> None:
        self._path = locations.run_folder(run) / EVENTS
        self._known = seq  # events, to be passed over by the first reading
        self._place = 0  # bytes that were read

    def fresh(self) -> list[Stamped]:
        """What was recorded since the last call; nothing while the record cannot be read."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                *lines, torn = file.read().split(b"\n")
                end = file.tell() - len(torn)
            fresh = [decode_event(line) for line in lines[self._known :]]  # an event's number is that of its line
        except (OSError, ProtocolError):
            return []
        self._known, self._place = max(0, self._known - len(lines)), end
        return fresh


def load_state(run: str) -> RunState:
    """The run as the screens show it, rebuilt from its events. Raises RunError as `load_events`."""
    state = RunState()
    for stamped in load_events(run):
        state.apply(stamped)
    return state


def adapters(run: str) -> tuple[str, ...]:
    """Names of the adapters the run left: `global` first, then hospitals. Empty before its first round is done."""
    folder = locations.run_folder(run)
    hospitals = sorted(
        path.parent.parent.name.removeprefix("hospital_") for path in folder.glob(f"hospital_*/final/{ADAPTER_FILE}")
    )
    shared = (GLOBAL,) if (folder / GLOBAL / ADAPTER_FILE).is_file() else ()
    return (*shared, *hospitals)


def latest_trained() -> Manifest | None:
    """The newest run that left adapters, or None."""
    return next((manifest for manifest in list_runs() if adapters(manifest.run)), None)


def _existing(run: str) -> Path:
    folder = locations.run_folder(run)
    if not folder.is_dir():
        raise RunError("there is no such run.", where=str(folder), hint="`fedmed-tui runs` lists yours.")
    return folder


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise RunError("is missing, so this is no run.", where=str(path), hint="`fedmed-tui runs` lists yours.") from None
    except OSError as error:
        raise RunError(f"cannot be read: {error.strerror}.", where=str(path), hint="Check its permissions.") from None
