"""A run's `events.jsonl`: appended line by line, repaired when a kill has torn the last line."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from engine.errors import ProtocolError, RunError
from engine.files import disk_error
from engine.protocol import AnyEvent, RoundFinished, RunStarted, Stamped, TrafficCounted, decode_event, encode_event

SYNCED = (TrafficCounted, RoundFinished)
"""These wait for the disk: the last that is said of a round before its checkpoint, so that no checkpoint knows more than the
record, and the round's end."""


class EventLog:
    """The events of one run, open for appending."""

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
            if isinstance(event, SYNCED):
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
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], start=1):
        try:
            stamped = decode_event(line)
        except ProtocolError as error:
            hint = "Restore events.jsonl from a copy, or remove that line."
            raise RunError(error.message, where=f"{path}, line {number}", hint=hint) from None
        seq = stamped.seq
        if isinstance(stamped.event, RoundFinished):
            finished = stamped.event.round
        elif isinstance(stamped.event, RunStarted):
            finished = min(finished, stamped.event.completed)  # later rounds were damaged, and are done again
    return seq, finished
