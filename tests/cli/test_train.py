"""`fedmed-tui train`, with a real engine and a tiny model."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from engine.protocol import AnyCommand, EngineReady, JobFinished, ResumeRun, RoundFinished, RunStarted, decode_event
from fedmed_tui import runs
from fedmed_tui.cli import CANCELLED, DONE, FAILED, main
from fedmed_tui.cli.train import parse_settings
from tests.cli.helpers import QUICK, TOLD, TRAINED

COMMAND = (sys.executable, "-m", "fedmed_tui")
LONG = ("train", "--rounds", "1000", "--run", "long", *QUICK)


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process group of its own, as a shell starts it."""
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """The first line of standard output that holds the words."""
    assert process.stdout is not None
    return next(line for line in process.stdout if words in line)


def test_resume_goes_on_from_the_last_complete_round(unfinished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["train", "--resume", TRAINED, "--json"])

    output = capsys.readouterr()
    events = [decode_event(line.encode()).event for line in output.out.splitlines()]
    assert code == DONE
    assert f"fedmed-tui chat --hospital global --run {TRAINED}" in output.err
    assert [event.completed for event in events if isinstance(event, RunStarted)] == [1]
    assert [event.round for event in events if isinstance(event, RoundFinished)] == [2]
    assert isinstance(events[-1], JobFinished)


def test_a_resumed_run_may_be_given_another_quorum_and_deadline(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[AnyCommand] = []
    monkeypatch.setattr("fedmed_tui.cli.train.run_job", lambda command, _: asked.append(command) or DONE)

    main(["train", "--resume", "x", "--rounds", "5", "--set", "federation.quorum=1", "--set", "federation.deadline_s=900"])

    assert asked == [ResumeRun(job="train", run="x", rounds=5, quorum=1, deadline_s=900)]


def test_in_a_pipe_it_tells_the_run_in_sentences(trained_home: Path) -> None:
    told = (trained_home / TOLD).read_text()

    assert "Round 2 closed" in told
    assert told.count("Loaded ") == 1


def test_on_a_terminal_it_draws_bars(unfinished_run: Path) -> None:
    controller, terminal = pty.openpty()
    with subprocess.Popen([*COMMAND, "train", "--resume", TRAINED], stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        screen = b"".join(iter(lambda: read_terminal(controller), b"")).decode()

    assert process.returncode == DONE
    assert "━" in screen
    assert "Round 2 of 2" in screen


def read_terminal(controller: int) -> bytes:
    """What was drawn next; nothing at the end."""
    try:
        return os.read(controller, 4096)
    except OSError:  # Linux says so when the other end is closed
        return b""


def test_ctrl_c_stops_the_run_and_tells_how_to_go_on(home: Path, tiny_model: Path) -> None:
    with running(*LONG, "--model", str(tiny_model)) as process:
        read_until(process, "Round 1 closed")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the engine as well
        _, notes = process.communicate(timeout=60)

    assert process.returncode == CANCELLED
    assert "fedmed-tui train --resume long" in notes
    assert runs.load_manifest("long").status == "cancelled"
    assert runs.load_manifest("long").completed >= 1


def test_an_engine_that_is_killed_is_reported_in_a_sentence(home: Path, tiny_model: Path) -> None:
    with running(*LONG, "--model", str(tiny_model), "--json") as process:
        ready = decode_event(read_until(process, "EngineReady").encode()).event
        assert isinstance(ready, EngineReady)
        read_until(process, "RoundFinished")
        os.kill(ready.pid, signal.SIGKILL)
        _, notes = process.communicate(timeout=60)

    assert process.returncode == FAILED
    assert "The engine was killed" in notes
    assert "Traceback" not in notes


def test_a_closed_pipe_ends_command_and_engine_quietly(home: Path, tiny_model: Path) -> None:
    with running(*LONG, "--model", str(tiny_model), "--json") as process:
        ready = decode_event(read_until(process, "EngineReady").encode()).event
        assert isinstance(ready, EngineReady)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        notes = process.stderr.read()
        process.wait(timeout=60)

    assert "Traceback" not in notes
    assert not psutil.pid_exists(ready.pid)


def test_settings_are_read_as_toml_values_or_else_as_text() -> None:
    given = ["training.rounds=5", 'lora.target_modules=["q_proj"]', "model.source=owner/name", "training.learning_rate=1e-4"]

    assert parse_settings(given) == {
        "training.rounds": 5,
        "lora.target_modules": ["q_proj"],
        "model.source": "owner/name",
        "training.learning_rate": 1e-4,
    }
