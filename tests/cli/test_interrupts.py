"""Ctrl+C and Ctrl+D, as a person presses them at a terminal: what stops, what goes on, what is left."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from engine.protocol import RoundStarted, Stamped, StartRun
from engine.settings import DEMO
from fedmed_tui import engine_client
from fedmed_tui.cli import CANCELLED, DONE, main, session
from fedmed_tui.engine_client import EngineClient
from tests.cli.helpers import TRAINED

COMMAND = (sys.executable, "-m", "fedmed_tui")
CTRL_C, CTRL_D = b"\x03", b"\x04"


class Typist:
    """The command in a terminal of its own, and everything that it has written there."""

    def __init__(self, *arguments: str) -> None:
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [*COMMAND, *arguments])
        self.said = b""

    def type(self, keys: bytes) -> None:
        """Press these keys."""
        os.write(self._terminal, keys)

    def until(self, words: bytes) -> bytes:
        """Read until the words have come since the last call; returns what came with them."""
        begun = len(self.said)
        while words not in self.said[begun:]:
            said = self._read()
            assert said, f"it ended without {words!r}: {self.said.decode()}"
            self.said += said
        return self.said[begun:]

    def ended(self) -> int:
        """Read to the end; the exit code."""
        while said := self._read():
            self.said += said
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bytes:
        try:
            return os.read(self._terminal, 4096)
        except OSError:  # Linux says so when the other end is closed
            return b""


def test_in_a_conversation_ctrl_c_stops_the_answer_and_ctrl_d_leaves(home: Path) -> None:
    chat = Typist("chat", "--hospital", "base", "--max-tokens", "2000")
    chat.until(b"You: ")
    chat.type(b"Tell me everything.\n")
    chat.until(b"Tell me everything.\r\n")
    chat.until(b". ")  # it has begun to answer
    chat.type(CTRL_C)
    stopped = chat.until(b"You: ")
    chat.type(b"What is gout?\n")
    answered = chat.until(b"You: ")
    chat.type(CTRL_D)

    assert chat.ended() == DONE
    assert b"stopped." in stopped
    assert b"tokens/s" in answered and b"stopped." not in answered


def test_ctrl_c_during_a_benchmark_writes_nothing(trained_run: Path, home: Path) -> None:
    command = [*COMMAND, "benchmark", "--run", TRAINED, "--suite", "learning"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "…" in line)  # at work
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the engine as well
        said, _ = process.communicate(timeout=60)

    assert (process.returncode, said) == (CANCELLED, "")
    assert not [path for path in (home / "benchmark_results").rglob("*") if path.is_file()]


def test_ctrl_c_before_there_is_a_job_to_stop_ends_the_command_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fedmed_tui.runs.list_runs", interrupted)

    assert main(["runs"]) == CANCELLED


async def test_a_second_ctrl_c_does_not_wait_for_a_job_that_hangs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_client, "CANCEL_SECONDS", 3600.0)
    monkeypatch.setattr(engine_client, "QUIT_SECONDS", 0.2)
    monkeypatch.setattr(engine_client, "TERMINATE_SECONDS", 0.2)
    word, whole, loop = home / "harm", home / "harm.part", asyncio.get_running_loop()
    harmed = partial(EngineClient, argv=(sys.executable, "-m", "benchmarks.harmed_engine", str(word)))
    monkeypatch.setattr(session, "EngineClient", harmed)

    def hang(stamped: Stamped) -> None:
        if isinstance(stamped.event, RoundStarted):
            whole.write_text("a hung native call")
            whole.replace(word)  # the engine must never find half a word
            loop.create_task(interrupt_twice())

    async def interrupt_twice() -> None:
        while word.exists():
            await asyncio.sleep(0.02)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.1)

    async with session.EngineSession(hang) as engine:
        outcome = await engine.run(StartRun(job="run", run="r", config=DEMO))

    assert outcome == "cancelled"
