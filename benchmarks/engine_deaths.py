"""Every way in which the engine can die or be harmed, many times in random order, under the real application.

    python -m benchmarks.engine_deaths --each 20 [--seed 1]

One application, one person: after each harm every screen must open, the engine must be told to be gone or the job to have failed,
and one key (`r` after a death, `s` after a failed job) must bring the work back. At the end the application runs once per way of
dying in a pseudo-terminal, and what it leaves of the terminal is looked at. A hung engine is ended by the person's own stop key;
the patience of that ladder is shortened from 10 + 3 s.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import pty
import random
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
from textual.pilot import Pilot

from benchmarks.harmed_engine import HARM, RECORD_TEXT
from fedmed_tui import engine_client
from fedmed_tui.app import FedMedApp
from fedmed_tui.widgets.header import MODES

SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGSEGV": signal.SIGSEGV, "SIGABRT": signal.SIGABRT, "SIGTERM": signal.SIGTERM}
PATIENCE = 300.0
LADDER_SECONDS = 0.5
RESTORED = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?2004l")
"""Main screen, cursor, no mouse, no bracketed paste."""


class Harmed:
    """The application over an engine that comes to harm on demand."""

    def __init__(self, folder: Path) -> None:
        self._word = folder / "harm"
        self.failures: list[str] = []
        self.app = FedMedApp(engine_argv=(sys.executable, "-m", "benchmarks.harmed_engine", str(self._word)))

    async def until(self, pilot: Pilot[None], what: Callable[[], object], name: str) -> None:
        """Wait for a state; SystemExit when it does not come."""
        end = time.monotonic() + PATIENCE
        while not what():
            if time.monotonic() > end:
                raise SystemExit(f"waited in vain for: {name}")
            await pilot.pause(0.02)

    async def begin(self, pilot: Pilot[None]) -> None:
        """A run is in progress."""
        work = self.app.workspace
        work.on_failure = lambda failure: self.failures.append(f"{failure.title}: {failure.message}")
        await self.until(pilot, lambda: work.status.ready and not work.data_job, "engine ready")
        await pilot.press("s")
        await self.until(pilot, lambda: work.run.rounds, "run in progress")

    async def harm(self, pilot: Pilot[None], way: str) -> None:
        """One harm, and back to work."""
        work = self.app.workspace
        pid = work._client.pid if work._client is not None else None
        assert pid is not None
        if way in SIGNALS:
            os.kill(pid, SIGNALS[way])
        else:
            written = self._word.with_suffix(".part")
            written.write_text(way, encoding="utf-8")
            written.replace(self._word)  # the engine looks fifty times a second: it must never find half a word
            await self.until(pilot, lambda: not self._word.exists(), "harm done")
        if way == "a hung native call":
            await self._stop(pilot)
        died = way in SIGNALS or way == "a hung native call"
        await self.until(pilot, lambda: work.status.exit is not None if died else not work.run_job, f"{way} noticed")
        await self._visit_every_screen(pilot)
        if died:
            await pilot.press("r")
            await self.until(pilot, lambda: work.status.ready and work.status.exit is None and not work.data_job, "restarted")
        if not work.run_job:
            await self._start_again(pilot)
        await self.until(pilot, lambda: work.training and work.run.current is not None, "at work again")

    async def _stop(self, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await self.until(pilot, lambda: len(self.app.screen_stack) > 1, "asked whether to stop")
        await pilot.press("down", "enter")

    async def _start_again(self, pilot: Pilot[None]) -> None:
        await pilot.press("1", "s")
        await self.until(pilot, lambda: len(self.app.screen_stack) > 1, "asked how to go on")
        await pilot.press("enter")

    async def _visit_every_screen(self, pilot: Pilot[None]) -> None:
        for number, mode in enumerate(MODES, start=1):
            await pilot.press(str(number))
            await self.until(pilot, lambda mode=mode: self.app.current_mode == mode, f"screen {mode}")
        await pilot.press("escape", "2")  # out of the chat's question
        await self.until(pilot, lambda: self.app.current_mode == "training", "screen training again")


async def many(each: int, draw: random.Random, folder: Path) -> Counter[str]:
    """Every way, so many times, in random order."""
    ways = [*SIGNALS, *HARM] * each
    draw.shuffle(ways)
    done, harmed = Counter[str](), Harmed(folder)
    async with harmed.app.run_test(size=(120, 40)) as pilot:
        await harmed.begin(pilot)
        for way in ways:
            await harmed.harm(pilot, way)
            done[way] += 1
        await harmed.app.workspace.close()
    if any(RECORD_TEXT in one for one in harmed.failures):
        raise SystemExit("an exception's text reached the screen")
    return done


# --- the terminal ---------------------------------------------------------------------------------------------------------------


class Terminal:
    """The application in a pseudo-terminal."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self._slave, self._before = slave, termios.tcgetattr(slave)
        self.said = b""
        self._process = subprocess.Popen([sys.executable, "-m", "fedmed_tui"], stdin=slave, stdout=slave, stderr=slave)

    def until(self, text: bytes) -> None:
        """Read until the application has drawn this since the last call. Raises SystemExit when it does not."""
        seen, end = len(self.said), time.monotonic() + PATIENCE
        while text not in self.said[seen:]:
            if time.monotonic() > end:
                raise SystemExit(f"the terminal never showed {text!r}")
            if select.select([self._master], [], [], 0.1)[0]:
                self.said += os.read(self._master, 1 << 16)

    def engine(self) -> psutil.Process:
        """The engine process."""
        return psutil.Process(self._process.pid).children()[0]

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._master, keys)

    def ended(self) -> list[str]:
        """Wait for the end; what is not as it was before."""
        end = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < end:
            if select.select([self._master], [], [], 0.1)[0]:
                self.said += os.read(self._master, 1 << 16)
        while select.select([self._master], [], [], 0.2)[0]:
            self.said += os.read(self._master, 1 << 16)
        wrong = [f"{code!r} is missing" for code in RESTORED if code not in self.said[-4000:]]
        wrong += [] if termios.tcgetattr(self._slave) == self._before else ["the line settings differ"]
        wrong += [] if self._process.returncode == 0 else [f"exit code {self._process.returncode}"]
        for descriptor in (self._master, self._slave):
            os.close(descriptor)
        return wrong


def terminal_after(name: str) -> list[str]:
    """Start, let the engine die, restart it with one key, let it die again, quit."""
    terminal = Terminal()
    terminal.until(b"ready")
    for _ in range(2):
        terminal.engine().send_signal(SIGNALS[name])
        terminal.until(b"restart")
        terminal.press(b"r")
        terminal.until(b"ready")
    terminal.engine().send_signal(SIGNALS[name])
    terminal.until(b"restart")
    terminal.press(b"\x11")
    return terminal.ended()


def main() -> None:
    """Harm and look. Exit code 1 when something is not as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    engine_client.CANCEL_SECONDS = engine_client.TERMINATE_SECONDS = LADDER_SECONDS
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEDMED_HOME"], os.environ["FEDMED_LOG"] = folder, f"{folder}/engine.log"
        begun = time.monotonic()
        done = asyncio.run(many(wanted.each, random.Random(wanted.seed), Path(folder)))
        for way, count in done.items():
            print(f"{way:<22} {count} of {wanted.each}: application usable, back at work with one key")
        print(f"{sum(done.values())} harms in {time.monotonic() - begun:.0f} s")
        wrong = {name: terminal_after(name) for name in SIGNALS}
    for name, complaints in wrong.items():
        print(f"terminal after {name:<8} {'restored' if not complaints else '; '.join(complaints)}")
    raise SystemExit(1 if any(wrong.values()) else 0)


if __name__ == "__main__":
    main()
