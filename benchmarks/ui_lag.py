"""How long the screen makes a person wait: lag of the event loop while idle, while a run trains, and while a person chats too.

    python benchmarks/ui_lag.py [--seconds 30]

The real application runs without a terminal, over the real engine process, at 120x40; it visits one screen after the other. Lag
is how much later than asked a 10 ms sleep ends. The goal is a 99th percentile below 60 ms while training.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from textual.pilot import Pilot

from engine.settings import load_config
from fedmed_tui.app import FedMedApp

TICK = 0.01
SCREEN_SECONDS = 2.0
"""Each screen is looked at this long."""
ENDLESS = 10_000
"""Rounds of the demo's settings: it trains for as long as it is looked at."""
GOAL_MS = 60.0


@dataclass
class Lags:
    """How often each lag was seen, to a tenth of a millisecond: hours of sampling take no more memory than minutes."""

    what: str
    seen: Counter[int] = field(default_factory=Counter)
    """Samples by lag in tenths of a millisecond, rounded up."""

    def add(self, milliseconds: float) -> None:
        """One sample."""
        self.seen[math.ceil(10 * milliseconds)] += 1

    def quantile(self, share: float) -> float:
        """The sample in milliseconds below which `share` of them lie; 1 is the longest."""
        left = share * self.seen.total()
        for tenths in sorted(self.seen):
            left -= self.seen[tenths]
            if left < 0:
                return tenths / 10
        return max(self.seen) / 10

    def __str__(self) -> str:
        p50, p99, most = map(self.quantile, (0.5, 0.99, 1.0))
        return f"{self.what:<22} {self.seen.total():>7,} {p50:>8.1f} {p99:>8.1f} {most:>8.1f}"


@asynccontextmanager
async def sampled(what: str) -> AsyncIterator[Lags]:
    """Sample the lag of this event loop while the block runs."""
    lags = Lags(what)

    async def sample() -> None:
        while True:
            asked = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            lags.add(1000 * (time.perf_counter() - asked))

    task = asyncio.create_task(sample())
    try:
        yield lags
    finally:
        task.cancel()


async def wait_for(app: FedMedApp, pilot: Pilot[None], what: str) -> None:
    """Wait for a state of the run: `ready`, `training`."""
    reached = {
        "ready": lambda: app.workspace.status.ready,
        "training": lambda: any(at.step for state in app.run_state.rounds.values() for at in state.hospitals.values()),
    }[what]
    while True:
        if app.workspace.status.exit is not None or (what == "training" and not app.workspace.training):
            raise SystemExit(f"the engine is not at '{what}'; the last it said: {app.run_state.feed[-1:]}")
        if reached():
            return
        await pilot.pause(0.1)


async def visit_screens(pilot: Pilot[None], seconds: float) -> None:
    """Go round the four screens without typing, for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key in "1342":
            await pilot.press(key)
            await asyncio.sleep(SCREEN_SECONDS)


async def chat(app: FedMedApp, pilot: Pilot[None], seconds: float) -> None:
    """Ask again as soon as the answer is there, for so long."""
    end = time.monotonic() + seconds
    await pilot.press("5")
    while time.monotonic() < end:
        await pilot.press(*"What helps against migraine?", "enter")
        while app.workspace.chat.job and time.monotonic() < end:
            await asyncio.sleep(0.1)


async def measure(seconds: float) -> list[Lags]:
    """The three phases, in order."""
    app = FedMedApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(app, pilot, "ready")
        async with sampled("idle") as idle:
            await visit_screens(pilot, seconds)
        app.workspace.start_run(load_config(overrides={"training.rounds": ENDLESS}))
        await wait_for(app, pilot, "training")
        async with sampled("training") as training:
            await visit_screens(pilot, seconds)
        async with sampled("training and chatting") as chatting:
            await chat(app, pilot, seconds)
        await wait_for(app, pilot, "training")  # still
        await app.workspace.close()
    return [idle, training, chatting]


def main() -> None:
    """Measure in a folder of its own, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each phase")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEDMED_HOME"] = folder
        phases = asyncio.run(measure(seconds))
    print(f"{'event-loop lag in ms':<22} {'samples':>7} {'p50':>8} {'p99':>8} {'max':>8}")
    for lags in phases:
        print(lags)
    training = phases[1].quantile(0.99)
    print(f"goal: p99 below {GOAL_MS:.0f} ms while training: {'met' if training < GOAL_MS else 'MISSED'} ({training:.1f} ms)")


if __name__ == "__main__":
    main()
