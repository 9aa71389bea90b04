"""Kill the engine at any moment, resume, kill again, until the run is done: it must end with the bits of an uninterrupted run.

    python -m benchmarks.crash --kills 100 [--seed 1]

Each life is a process of its own that runs the engine's own loop over pipes, forked from a parent that has imported the tensor
library once, and is ended by SIGKILL: at a random time, at a random training step, around the aggregation, or at the sight of a
half-written checkpoint or exported adapter. Runs follow each other until so many kills have hit. Of each run are compared, byte
by byte, all adapters and checkpoints, and what its record, replayed, says; nothing half-written may be left.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from engine import locations
from engine.protocol import (
    Aggregated,
    AnyCommand,
    AnyEvent,
    Failure,
    ResumeRun,
    RunFinished,
    StartRun,
    StepDone,
    UpdateReceived,
    decode_event,
    encode_command,
)
from engine.settings import RunConfig, load_config
from fedmed_tui import runs

TINY_MODEL = Path(__file__).parents[1] / "tests" / "tiny_model.py"
PATIENCE = 120.0
"""Seconds without an event after which a life is given up."""
Moment = Callable[["Life", AnyEvent | None], bool]


@dataclass
class Life:
    """One engine process, from fork to its end."""

    pid: int
    commands: int
    events: int
    run: Path
    begun: float = field(default_factory=time.monotonic)
    _rest: bytes = b""

    def heard(self, seconds: float) -> list[AnyEvent] | None:
        """Events that come within so many seconds; None at the end."""
        if not select.select([self.events], [], [], seconds)[0]:
            return []
        data = os.read(self.events, 1 << 20)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [decode_event(line).event for line in lines]

    def end(self) -> None:
        """Kill the process and forget it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.commands)
        os.close(self.events)


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


def moments(draw: random.Random, usual_seconds: float) -> tuple[str, Moment]:
    """A kind of moment, and how to tell that it has come."""
    kind = draw.choice(["any time", "training", "aggregation", "checkpoint", "export"])
    number, after, seen = draw.randint(1, 3), draw.uniform(0, usual_seconds), Counter[type[Any]]()

    def any_time(life: Life, event: AnyEvent | None) -> bool:
        return time.monotonic() - life.begun > after

    def of_events(*types: type[Any]) -> Moment:
        def come(life: Life, event: AnyEvent | None) -> bool:
            seen[type(event)] += 1
            return isinstance(event, types) and sum(seen[one] for one in types) >= number * 2

        return come

    def half_written(pattern: str) -> Moment:
        def come(life: Life, event: AnyEvent | None) -> bool:
            with suppress(OSError):  # a folder may vanish while it is searched
                seen.update([int] if any(life.run.glob(pattern)) else [])
            return seen[int] >= number

        return come

    return kind, {
        "any time": any_time,
        "training": of_events(StepDone),
        "aggregation": of_events(UpdateReceived, Aggregated),
        "checkpoint": half_written("rounds/.*.partial"),
        "export": half_written("*/**/.adapter_*.partial"),
    }[kind]


def live(life: Life, command: AnyCommand, come: Moment) -> RunFinished | None:
    """Let an engine work until the moment has come or the run has ended. Returns the end, if it came first."""
    os.write(life.commands, encode_command(command))
    last = time.monotonic()
    while time.monotonic() - last < PATIENCE:
        events = life.heard(0.0002)
        if events is None:
            raise SystemExit(f"the engine ended by itself; its log: {locations.log_file()}")
        for event in events or [None]:
            last = time.monotonic() if event is not None else last
            if isinstance(event, Failure):
                raise SystemExit(f"a job failed: {event.message} {event.where}")
            if isinstance(event, RunFinished):
                return event
            if come(life, event):
                return None
    raise SystemExit("the engine hangs")


# --- what must be the same -----------------------------------------------------------------------------------------------------


def tensors(run: Path) -> dict[str, bytes]:
    """Every adapter and checkpoint."""
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*.safetensors"))}


def replayed(run: str) -> dict[str, Any]:
    """What the record says, without times of day and durations, and without the hospitals' joining again after a kill."""
    state = runs.load_state(run)
    record = state.record
    plain = {
        "outcome": state.finished and state.finished.outcome,
        "completed": state.completed,
        "series": state.macro_series(),
        "losses": record.losses,
        "aggregated": record.aggregated,
        "updates": record.updates,
        "traffic": {number: [row for row in rows if row.round == number] for number, rows in record.traffic.items()},
        "finished": record.finished,
    }
    return dict(_timeless(msgspec.to_builtins(plain, str_keys=True)))


def _timeless(value: Any) -> Any:
    match value:
        case dict():
            return {key: _timeless(one) for key, one in value.items() if "seconds" not in key}
        case list() | tuple():
            return [_timeless(one) for one in value]
        case _:
            return value


def differences(run: str, whole: str) -> Iterator[str]:
    """What is not as in the uninterrupted run."""
    mine, theirs = (tensors(locations.run_folder(name)) for name in (run, whole))
    yield from (f"{name} differs" for name in sorted(mine.keys() | theirs.keys()) if mine.get(name) != theirs.get(name))
    said, should = replayed(run), replayed(whole)
    yield from (f"the record's {name} differ" for name in should if said[name] != should[name])
    numbers = [stamped.seq for stamped in runs.load_events(run)]
    if numbers != list(range(1, len(numbers) + 1)):
        yield "the record's numbers have gaps"
    yield from (f"{path.name} is left" for path in locations.run_folder(run).rglob("*.partial"))


# --- all together ---------------------------------------------------------------------------------------------------------------


def tiny_config() -> RunConfig:
    """A run of seconds, with an agent that remembers and hospitals that are evaluated."""
    folder = locations.home() / "tiny-model"
    subprocess.run([sys.executable, str(TINY_MODEL), str(folder)], check=True, capture_output=True)
    small = {
        "model.source": str(folder),
        "model.quantization": "none",
        "lora.rank": 2,
        "training.rounds": 4,
        "training.local_steps": 3,
        "training.max_tokens": 64,
        "data.max_pairs": 12,
        "data.validation_pairs": 4,
    }
    return load_config(overrides=small)


def uninterrupted(config: RunConfig) -> float:
    """The run to compare with; returns its seconds."""
    life = born("whole")
    live(life, StartRun(job="run", run="whole", config=config), lambda life, event: False)
    life.end()
    return time.monotonic() - life.begun


def killed_until_done(run: str, config: RunConfig, draw: random.Random, seconds: float) -> Counter[str]:
    """One run, over as many lives as it takes. Returns the kills that hit, by moment."""
    hits = Counter[str]()
    while True:
        begun = (locations.run_folder(run) / "manifest.json").exists()
        command: AnyCommand = ResumeRun(job="run", run=run) if begun else StartRun(job="run", run=run, config=config)
        life = born(run)
        kind, come = moments(draw, seconds)
        finished = live(life, command, come)
        life.end()
        if finished is not None:
            return hits
        hits[kind] += 1


def main() -> None:
    """Kill and compare. Exit code 1 when a run differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEDMED_HOME"], os.environ["FEDMED_LOG"] = folder, f"{folder}/engine.log"
        import torch

        torch.set_num_threads(1)  # a fork of a process with worker threads would wait for them for ever
        import engine.jobs.run  # noqa: F401 (each life finds it imported)

        config, draw, hits, bad, number = tiny_config(), random.Random(wanted.seed), Counter[str](), list[str](), 0
        seconds = uninterrupted(config)
        while sum(hits.values()) < wanted.kills:
            number += 1
            hits += killed_until_done(f"killed-{number}", config, draw, seconds)
            bad += [f"killed-{number}: {what}" for what in differences(f"killed-{number}", "whole")]
        print(f"{sum(hits.values())} kills over {number} runs: {', '.join(f'{n} {kind}' for kind, n in sorted(hits.items()))}")
    for complaint in bad:
        print(complaint)
    print(f"{number - len({one.split(':')[0] for one in bad})} of {number} runs end as the uninterrupted one")
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
