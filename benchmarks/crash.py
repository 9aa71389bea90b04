"""Kill the engine at any moment, resume, kill again, until the run is done: it must end with the bits of an uninterrupted run.

    python -m benchmarks.crash --kills 100 [--seed 1]

Each life is a process of its own that runs the engine's own loop over pipes, forked from a parent that has imported the tensor
library once, and is ended by SIGKILL (`benchmarks.lives`): at a random time, between two training steps, in the aggregation, when
a checkpoint, an exported adapter or the manifest is half-written, between a checkpoint and its event, and with the record's last
line torn. Runs follow each other until so many kills have hit, in turn with an agent that remembers, with scaffold's control
variates, and with a server optimizer and hospitals that rest. Of each run are compared with an uninterrupted one: every file's
name, all adapters and checkpoints byte by byte, what is in the other files but times, and the state that its record replays to.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.lives import Holds, Life, born, moments, tear_last_line
from engine import locations
from engine.protocol import AnyCommand, Failure, ResumeRun, RunFinished, StartRun, encode_command
from engine.settings import RunConfig, load_config
from fedmed_tui import runs
from fedmed_tui.state import RunState

TINY_MODEL = Path(__file__).parents[1] / "tests" / "tiny_model.py"
PATIENCE = 120.0
"""Seconds without an event after which a life is given up."""
KINDS: dict[str, dict[str, Any]] = {
    "agent": {},
    "scaffold": {"training.objective": "scaffold", "aggregation.combine": "factors", "aggregation.weighting": "samples"},
    "fedadam": {"aggregation.server_optimizer": "fedadam", "aggregation.combine": "factors", "federation.participation": 0.6},
}
"""By name, what a run carries from round to round."""


def live(life: Life, command: AnyCommand, holds: Holds) -> RunFinished | None:
    """Let an engine work until it stands frozen in the moment, or the run has ended. Returns the end, if it came first."""
    os.write(life.commands, encode_command(command))
    last = time.monotonic()
    while time.monotonic() - last < PATIENCE:
        events = life.heard(0.0002)
        if events is None:
            raise SystemExit(f"the engine ended by itself; its log: {locations.log_file()}")
        last = time.monotonic() if events else last
        if holds(life):
            life.stop()
            if holds(life) and not ended(life):
                return None
            life.go_on()
        if finished := ended(life):
            return finished
    raise SystemExit("the engine hangs")


def ended(life: Life) -> RunFinished | None:
    """The run's end, if it was told."""
    for event in life.said:
        if isinstance(event, Failure):
            raise SystemExit(f"a job failed: {event.message} {event.where}")
    return next((event for event in life.said if isinstance(event, RunFinished)), None)


# --- what must be the same -----------------------------------------------------------------------------------------------------


TIMES = ("seconds", "time", "created", "carrying", "first_round")
"""What differs between two runs of the same: parts of names."""


def contents(run: Path) -> dict[str, Any]:
    """Every file but the record: adapters and checkpoints as bytes, the others without what is about time."""
    files = {str(path.relative_to(run)): path for path in sorted(run.rglob("*")) if path.is_file()}
    return {
        name: _timeless(json.loads(path.read_bytes())) | {"run": ""} if path.suffix == ".json" else path.read_bytes()
        for name, path in files.items()
        if path.name != "events.jsonl"
    }


def replayed(state: RunState) -> dict[str, Any]:
    """What the record says, without times of day and durations, and without the hospitals' joining again after a kill."""
    rounds = {number: {name: _answers(asdict(at)) for name, at in one.hospitals.items()} for number, one in state.rounds.items()}
    plain = {
        "outcome": state.finished and state.finished.outcome,
        "completed": state.completed,
        "hospitals": state.hospitals,
        "rounds": rounds,
        "drawn": {number: one.drawn for number, one in state.rounds.items()},
        "decisions": {number: one.aggregated for number, one in state.rounds.items()},
        "series": state.macro_series(),
        "losses": state.record.losses,
        "updates": state.record.updates,
        "traffic": {number: [row for row in rows if row.round == number] for number, rows in state.record.traffic.items()},
        "finished": state.record.finished,
    }
    return dict(_timeless(msgspec.to_builtins(plain, str_keys=True)))


def _answers(hospital: dict[str, Any]) -> dict[str, Any]:
    """Without its steps: not each of them is recorded."""
    return {name: value for name, value in hospital.items() if "step" not in name}


def _timeless(value: Any) -> Any:
    match value:
        case dict():
            return {key: _timeless(one) for key, one in value.items() if not any(time in key for time in TIMES)}
        case list() | tuple():
            return [_timeless(one) for one in value]
        case _:
            return value


def differences(run: str, whole: str) -> Iterator[str]:
    """What is not as in the uninterrupted run."""
    mine, theirs = (contents(locations.run_folder(name)) for name in (run, whole))
    yield from (f"{name} is left" for name in sorted(mine.keys() - theirs.keys()))
    yield from (f"{name} differs" for name in sorted(theirs) if mine.get(name) != theirs[name])
    said, should = (replayed(runs.load_state(name)) for name in (run, whole))
    yield from (f"the record's {name} differ" for name in should if said[name] != should[name])
    numbers = [stamped.seq for stamped in runs.load_events(run)]
    if numbers != list(range(1, len(numbers) + 1)):
        yield "the record's numbers have gaps"


# --- all together ---------------------------------------------------------------------------------------------------------------


def tiny_config(kind: str) -> RunConfig:
    """A run of seconds, with hospitals that are evaluated."""
    folder = locations.home() / "tiny-model"
    if not folder.exists():
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
    return load_config(overrides=small | KINDS[kind])


def uninterrupted(kind: str) -> float:
    """The run to compare with; returns its seconds."""
    life = born(f"whole-{kind}")
    live(life, StartRun(job="run", run=f"whole-{kind}", config=tiny_config(kind)), lambda life: False)
    life.end()
    return time.monotonic() - life.begun


def killed_until_done(run: str, config: RunConfig, draw: random.Random, seconds: float) -> Counter[str]:
    """One run, over as many lives as it takes. Returns the kills that hit, by moment."""
    hits = Counter[str]()
    while True:
        begun = (locations.run_folder(run) / "manifest.json").exists()
        command: AnyCommand = ResumeRun(job="run", run=run) if begun else StartRun(job="run", run=run, config=config)
        life = born(run)
        kind, holds = moments(draw, seconds)
        finished = live(life, command, holds)
        life.end()
        if finished is not None:
            return hits
        if kind == "with a torn last line" and not tear_last_line(life.run / "events.jsonl", draw):
            kind = "at any time"
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

        draw, hits, bad, number = random.Random(wanted.seed), Counter[str](), list[str](), 0
        seconds = {kind: uninterrupted(kind) for kind in KINDS}
        while sum(hits.values()) < wanted.kills:
            kind, number = list(KINDS)[number % len(KINDS)], number + 1
            run = f"killed-{number}-{kind}"
            hits += killed_until_done(run, tiny_config(kind), draw, seconds[kind])
            bad += [f"{run}: {what}" for what in differences(run, f"whole-{kind}")]
        print(f"{sum(hits.values())} kills over {number} runs: {', '.join(f'{n} {kind}' for kind, n in sorted(hits.items()))}")
    for complaint in bad:
        print(complaint)
    print(f"{number - len({one.split(':')[0] for one in bad})} of {number} runs end as the uninterrupted one")
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
