"""Lives of an engine process for `benchmarks.crash`: forked, listened to, frozen at a chosen moment, and killed there.

A process that is only told to die at the sight of a half-written file may have finished it by then. So it is stopped first
(SIGSTOP), looked at again, and killed only if the moment still stands; otherwise it goes on.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine import locations
from engine.federated.event_log import SYNCED
from engine.protocol import Aggregated, AnyEvent, Evaluated, RoundFinished, RoundStarted, StepDone, decode_event

HOSPITALS = 3
JUDGING_SECONDS = 0.05
"""About how long an aggregation takes on the tiny model."""


@dataclass
class Life:
    """One engine process, from fork to its end."""

    pid: int
    commands: int
    events: int
    run: Path
    begun: float = field(default_factory=time.monotonic)
    said: list[AnyEvent] = field(default_factory=list)
    """Every event so far."""
    _rest: bytes = b""

    def heard(self, seconds: float) -> list[AnyEvent] | None:
        """Events that come within so many seconds; None at the end."""
        if not select.select([self.events], [], [], seconds)[0]:
            return []
        data = os.read(self.events, 1 << 20)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = [decode_event(line).event for line in lines]
        self.said += events
        return events

    def stop(self) -> None:
        """Freeze the process, and hear what it had said until then."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)
        while self.heard(0.0):
            pass

    def go_on(self) -> None:
        """Thaw it."""
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """Kill the process and forget it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.commands)
        os.close(self.events)

    def last(self, kind: type[AnyEvent]) -> int:
        """Place of the newest event of this kind among all; -1 when there is none."""
        return max((place for place, event in enumerate(self.said) if isinstance(event, kind)), default=-1)


def born(run: str) -> Life:
    """Fork an engine."""
    (theirs, commands), (events, told) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(theirs, 0)
        for descriptor in (theirs, commands, events):
            os.close(descriptor)
        _be_an_engine(told)
    os.close(theirs)
    os.close(told)
    return Life(pid, commands, events, locations.run_folder(run))


def _be_an_engine(told: int) -> None:
    from engine.__main__ import Process

    log = os.open(locations.log_file(), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdin = os.fdopen(0, "r")
    Process(os.fdopen(told, "wb", buffering=0)).run()
    os._exit(0)


# --- when to kill --------------------------------------------------------------------------------------------------------------

Holds = Callable[[Life], bool]
"""Whether a process is in the moment that is waited for. True while it is frozen: it is killed there."""


def _after(seconds: float) -> Holds:
    return lambda life: time.monotonic() - life.begun > seconds


def _training(steps: int) -> Holds:
    def holds(life: Life) -> bool:
        last = life.said[-1] if life.said else None
        done = sum(isinstance(event, StepDone) for event in life.said)
        return done >= steps and isinstance(last, StepDone) and last.step < last.steps

    return holds


def _aggregating(times: int, delay: float) -> Holds:
    """All updates of a round are evaluated at home, and no decision is told yet."""
    since: dict[int, float] = {}

    def holds(life: Life) -> bool:
        decided = sum(isinstance(event, Aggregated) for event in life.said)
        since_then = life.said[life.last(Aggregated) + 1 :]
        at_home = sum(isinstance(event, Evaluated) and event.stage == "local" for event in since_then)
        if decided + 1 < times or at_home < _trained(life):
            return False
        return time.monotonic() - since.setdefault(decided, time.monotonic()) >= delay

    return holds


def _trained(life: Life) -> int:
    """Hospitals that train in the round in progress."""
    drawn = next((event.drawn for event in reversed(life.said) if isinstance(event, RoundStarted)), ())
    return len(drawn) or HOSPITALS


def _half_written(pattern: str, times: int) -> Holds:
    """So many different files of this form have been seen half-written, and one is now."""
    seen: set[str] = set()

    def holds(life: Life) -> bool:
        try:
            now = {path.name for path in life.run.glob(pattern)}
        except OSError:  # a folder may vanish while it is searched
            return False
        seen.update(now)
        return bool(now) and len(seen) >= times

    return holds


def _unsaid(times: int) -> Holds:
    """A round lies on the disk, and its end is not told yet."""
    before: list[int] = []

    def holds(life: Life) -> bool:
        rounds = len(list(life.run.glob("rounds/[0-9]*")))
        before[:] = before or [rounds]
        told = sum(isinstance(event, RoundFinished) for event in life.said)
        return rounds - before[0] > told and rounds - before[0] >= times

    return holds


def moments(draw: random.Random, usual_seconds: float) -> tuple[str, Holds]:
    """A kind of moment, and how to tell that it is now."""
    times = draw.randint(1, 3)
    kinds: dict[str, Holds] = {
        "at any time": _after(draw.uniform(0, usual_seconds)),
        "with a torn last line": _after(draw.uniform(0, usual_seconds)),
        "in training": _training(draw.randint(1, 20)),
        "in the aggregation": _aggregating(times, draw.uniform(0, JUDGING_SECONDS)),
        "with a half-written checkpoint": _half_written("rounds/.*.partial", times),
        "with a half-written adapter": _half_written("*/**/.adapter_*.partial", 2 * times),
        "with a half-written manifest": _half_written(".manifest.json.*.partial", times),
        "between a checkpoint and its event": _unsaid(times),
    }
    kind = draw.choice(sorted(kinds))
    return kind, kinds[kind]


def tear_last_line(record: Path, draw: random.Random) -> bool:
    """Leave the last event half-written, as a power cut does. False: there is none, or it waited until the disk had it."""
    data = record.read_bytes() if record.exists() else b""
    begin = data.rfind(b"\n", 0, max(0, len(data) - 1)) + 1
    if not data.endswith(b"\n") or isinstance(decode_event(data[begin:]).event, SYNCED):
        return False
    os.truncate(record, draw.randint(begin + 1, len(data) - 1))
    return True
