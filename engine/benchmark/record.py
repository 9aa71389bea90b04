"""What a run's own events say about it: the quick benchmark needs nothing else. No tensor library here.

A screen applies events as they come and asks `engine.benchmark.recorded` for sections at any time; the benchmark reads the run's
`events.jsonl`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import singledispatchmethod
from pathlib import Path
from typing import Any, Self

from engine.benchmark.results import Direction, Traffic
from engine.errors import ProtocolError, RunError
from engine.protocol import (
    Aggregated,
    AnyEvent,
    Evaluated,
    HospitalInfo,
    HospitalLost,
    ModelLoaded,
    RoundFinished,
    RunStarted,
    TrafficCounted,
    UpdateReceived,
    decode_event,
)
from engine.settings import RunConfig


@dataclass
class RunRecord:
    """A run as its events tell it, rounds that were cut short and done again counted once."""

    run: str = ""
    config: RunConfig | None = None
    model: ModelLoaded | None = None
    hospitals: tuple[HospitalInfo, ...] = ()
    losses: dict[int, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    """Round → hospital → validation loss of the global adapter; round 0 is the base model."""
    own_losses: dict[int, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    """Round → hospital → validation loss of the hospital's own adapter, before it was combined."""
    updates: dict[int, dict[str, UpdateReceived]] = field(default_factory=lambda: defaultdict(dict))
    aggregated: dict[int, Aggregated] = field(default_factory=dict)
    traffic: dict[int, tuple[Traffic, ...]] = field(default_factory=dict)
    carried: Counter[tuple[str, Direction]] = field(default_factory=Counter)
    """(hospital, direction) → bytes in all of `traffic`."""
    finished: dict[int, RoundFinished] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record in an `events.jsonl`; a last line that a kill has torn is left out.

        Raises:
            RunError: no such file, or a damaged line before the last.
        """
        record = cls()
        try:
            *lines, _torn = path.read_bytes().split(b"\n")
        except OSError as error:
            raise RunError(f"cannot be read: {error.strerror}.", where=str(path), hint="`fedmed-tui runs` lists yours.") from None
        for number, line in enumerate(lines, start=1):
            try:
                record.apply(decode_event(line).event)
            except ProtocolError as error:
                raise RunError(error.message, where=f"{path}, line {number}", hint="Restore it from a copy.") from None
        return record

    @property
    def completed(self) -> int:
        """Rounds that are done."""
        return max(self.finished, default=0)

    @property
    def trainings(self) -> list[UpdateReceived]:
        """Every local training of the finished rounds."""
        return [update for number in sorted(self.finished) for _, update in sorted(self.updates[number].items())]

    @property
    def seconds(self) -> float:
        """Time in rounds."""
        return sum(one.seconds for one in self.finished.values())

    @singledispatchmethod
    def apply(self, event: AnyEvent) -> None:
        """Take one event in. Events of no concern to a run change nothing."""

    @apply.register
    def _(self, event: RunStarted) -> None:
        last_kept = event.completed if event.run == self.run else -1
        self.run, self.config, self.hospitals = event.run, event.config, event.hospitals
        by_rounds: tuple[dict[int, Any], ...]
        by_rounds = (self.losses, self.own_losses, self.updates, self.aggregated, self.traffic, self.finished)
        for by_round in by_rounds:
            for number in [number for number in by_round if number > last_kept]:
                del by_round[number]
        self.carried.clear()
        for rows in self.traffic.values():
            self._carry(rows)

    @apply.register
    def _(self, event: ModelLoaded) -> None:
        self.model = event

    @apply.register
    def _(self, event: Evaluated) -> None:
        losses = self.own_losses if event.stage == "local" else self.losses
        losses[event.round][event.hospital] = event.loss

    @apply.register
    def _(self, event: UpdateReceived) -> None:
        self.updates[event.round][event.hospital] = event

    @apply.register
    def _(self, event: HospitalLost) -> None:
        if event.during == "training":
            self.updates[event.round].pop(event.hospital, None)

    @apply.register
    def _(self, event: Aggregated) -> None:
        self.aggregated[event.round] = event

    @apply.register
    def _(self, event: TrafficCounted) -> None:
        self.traffic[event.round] = event.rows
        self._carry(event.rows)

    @apply.register
    def _(self, event: RoundFinished) -> None:
        self.finished[event.round] = event

    def _carry(self, rows: Iterable[Traffic]) -> None:
        for row in rows:
            self.carried[row.hospital, row.direction] += row.bytes
