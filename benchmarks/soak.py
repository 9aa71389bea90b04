"""Hours at the screen: a scripted person trains, chats and looks around; memory must not grow and no event may get lost.

    python -m benchmarks.soak --minutes 120 [--json soak.json]

The real application runs without a terminal over the real engine process, at 120x40. Memory is the resident size of both
processes, averaged over whole rounds that take five minutes or more together, because the engine's goes up and down with every
training: the first such rounds after minute 10, and the last. An event is lost when a number is missing in what the screen was
told, or when the run's record, replayed, differs from what the screen knows. Lag is how much later than asked a 10 ms sleep of
the screen's loop ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Literal

import psutil
from textual.pilot import Pilot

from benchmarks.ui_lag import GOAL_MS, Lags, sampled, wait_for
from engine.protocol import Stamped
from engine.settings import load_config
from fedmed_tui import runs
from fedmed_tui.app import FedMedApp
from fedmed_tui.state import RunState

EVERY_SECONDS = 5.0
WINDOW_SECONDS = 300.0
SETTLED_SECONDS = 600.0
GROWTH = 0.05
RESIZED_EVERY = 5
"""Answers between two changes of the terminal's size, so that every size has been seen with a full screen by minute 10."""
QUESTIONS = ("What helps against migraine?", "How is asthma treated?", "What are the signs of anaemia?")
KEYS = "12345"


@dataclass(frozen=True)
class Reading:
    """Resident bytes of both processes at a moment, and how many rounds were completed by then."""

    seconds: float
    screen: int
    engine: int
    rounds: int


@dataclass
class Watch:
    """What is noted while the person works."""

    begun: float = field(default_factory=time.monotonic)
    memory: list[Reading] = field(default_factory=list)
    events: int = 0
    missing: int = 0
    answers: int = 0
    failures: list[str] = field(default_factory=list)
    last_seq: int = 0

    def take(self, stamped: Stamped) -> None:
        """Count one event, and those that should have come before it."""
        self.missing += stamped.seq - self.last_seq - 1
        self.last_seq = stamped.seq
        self.events += 1

    def compared(self) -> tuple[list[Reading], list[Reading]]:
        """The readings of the first whole rounds after the first ten minutes, and of the last whole rounds.

        Raises:
            SystemExit: it was too short for two such spans.
        """
        ends = [0.0, *(now.seconds for before, now in pairwise(self.memory) if now.rounds > before.rounds)]
        begin = next((end for end in ends if end >= SETTLED_SECONDS), inf)
        until = next((end for end in ends if end >= begin + WINDOW_SECONDS), inf)
        last = next((end for end in reversed(ends) if end <= ends[-1] - WINDOW_SECONDS), 0.0)
        if last < until:
            raise SystemExit(f"Growth of memory cannot be told from {len(ends) - 1} rounds: take more minutes.")
        first = [reading for reading in self.memory if begin <= reading.seconds < until]
        return first, [reading for reading in self.memory if last <= reading.seconds < ends[-1]]


def mib(readings: list[Reading], process: Literal["screen", "engine"]) -> float:
    """Mean resident size of a process."""
    return fmean(getattr(reading, process) for reading in readings) / 2**20


def listen(app: FedMedApp, watch: Watch) -> None:
    """Let the watch hear every event before the application does."""
    take = app.workspace.take

    def both(stamped: Stamped) -> None:
        watch.take(stamped)
        take(stamped)

    app.workspace.take = both  # type: ignore[method-assign]
    app.workspace.on_failure = lambda failure: watch.failures.append(f"{failure.title}: {failure.message}")


async def note_memory(app: FedMedApp, watch: Watch) -> None:
    """Until cancelled."""
    own = psutil.Process()
    while True:
        client = app.workspace._client
        if client is not None and client.pid is not None and client.running:
            engine = psutil.Process(client.pid).memory_info().rss
            now = time.monotonic() - watch.begun
            watch.memory.append(Reading(now, own.memory_info().rss, engine, app.workspace.live.completed))
        await asyncio.sleep(EVERY_SECONDS)


async def look_around(pilot: Pilot[None], draw: random.Random) -> None:
    """Some screens in any order, the palette and the help now and then."""
    for key in draw.sample(KEYS, k=4):
        await pilot.press(key)
        await pilot.press(*draw.choices(("tab", "down", "up", "pagedown"), k=3))
        await asyncio.sleep(draw.uniform(0.5, 3.0))
    await pilot.press(draw.choice(("f1", "ctrl+p")))
    await asyncio.sleep(1.0)
    await pilot.press("escape")


async def ask(app: FedMedApp, pilot: Pilot[None], watch: Watch, draw: random.Random) -> None:
    """One question, and wait for its answer."""
    adapters = ("base", "A", "B", "C") if app.run_state.completed else ("base",)
    app.workspace.chat.ask(app.workspace.place, (draw.choice(adapters),), draw.choice(QUESTIONS))
    await pilot.press("5")
    while app.workspace.chat.job:
        await asyncio.sleep(0.2)
    watch.answers += 1
    if watch.answers % RESIZED_EVERY == 0:
        await pilot.resize_terminal(*draw.choice(((80, 24), (120, 40), (60, 20))))


async def soak(minutes: float, app: FedMedApp, watch: Watch) -> Lags:
    """The person's time at the screen."""
    draw = random.Random(7)
    end = time.monotonic() + 60 * minutes
    async with app.run_test(size=(120, 40)) as pilot:
        listen(app, watch)
        await wait_for(app, pilot, "ready")
        app.workspace.start_run(load_config(overrides={"training.rounds": 10_000}))
        await wait_for(app, pilot, "training")
        memory = asyncio.create_task(note_memory(app, watch))
        async with sampled("training and chatting") as lags:
            while time.monotonic() < end and app.workspace.training:
                await look_around(pilot, draw)
                await ask(app, pilot, watch, draw)
        memory.cancel()
        await app.workspace.stop_run()
        await app.workspace.close()
    return lags


def same_as_recorded(app: FedMedApp) -> bool:
    """Whether the run's record, replayed, says what the screen knows."""
    recorded: RunState = runs.load_state(app.workspace.live.run)
    live = app.workspace.live
    return all(
        one == other
        for one, other in (
            (recorded.completed, live.completed),
            (recorded.macro_series(), live.macro_series()),
            (
                {number: state.aggregated for number, state in recorded.rounds.items()},
                {n: s.aggregated for n, s in live.rounds.items()},
            ),
        )
    )


def figures(watch: Watch, lags: Lags, same: bool) -> dict[str, float | int | bool | list[str]]:
    """What is reported.

    Raises:
        SystemExit: it was too short to compare memory.
    """
    first, last = watch.compared()
    return {
        "minutes": watch.memory[-1].seconds / 60,
        "rounds": watch.memory[-1].rounds,
        "answers": watch.answers,
        "events": watch.events,
        "events_missing": watch.missing,
        "record_is_what_the_screen_knows": same,
        "screen_mib": mib(last, "screen"),
        "screen_growth": mib(last, "screen") / mib(first, "screen") - 1,
        "engine_mib": mib(last, "engine"),
        "engine_growth": mib(last, "engine") / mib(first, "engine") - 1,
        "lag_p50_ms": lags.quantile(0.5),
        "lag_p99_ms": lags.quantile(0.99),
        "lag_max_ms": lags.quantile(1.0),
        "failures": watch.failures,
    }


def main() -> None:
    """Soak in a folder of its own, print the figures. Exit code 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--json", type=Path, default=None, help="also write every memory reading here")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEDMED_HOME"], os.environ["FEDMED_LOG"] = folder, f"{folder}/engine.log"
        app, watch = FedMedApp(), Watch()
        lags = asyncio.run(soak(wanted.minutes, app, watch))
        if wanted.json is not None:
            wanted.json.write_text(json.dumps(asdict(watch), indent=1), encoding="utf-8")
        told = figures(watch, lags, same_as_recorded(app))
    for name, value in told.items():
        print(f"{name:<34} {value:.4g}" if isinstance(value, float) else f"{name:<34} {value}")
    growth = max(float(told[f"{name}_growth"]) for name in ("screen", "engine"))  # type: ignore[arg-type]
    met = {
        f"memory grows by at most {GROWTH:.0%} after minute {SETTLED_SECONDS / 60:g}": growth <= GROWTH,
        "no event is lost": not watch.missing and bool(told["record_is_what_the_screen_knows"]),
        f"p99 lag is below {GOAL_MS:.0f} ms": lags.quantile(0.99) < GOAL_MS,
    }
    for goal, reached in met.items():
        print(f"{'met   ' if reached else 'MISSED'} {goal}")
    raise SystemExit(0 if all(met.values()) else 1)


if __name__ == "__main__":
    main()
