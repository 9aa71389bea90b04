"""Whatever becomes of the engine, the application goes on: each way of dying or failing once, under the real application.

`python -m benchmarks.engine_deaths` does the same many times in random order, and looks at the terminal afterwards.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.engine_deaths import LADDER_SECONDS, SIGNALS, Harmed, terminal_after
from benchmarks.harmed_engine import HARM, RECORD_TEXT
from engine import locations
from fedmed_tui import engine_client


@pytest.mark.parametrize("way", [*SIGNALS, *HARM])
async def test_every_screen_still_opens_and_one_key_brings_the_work_back(
    home: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(engine_client, "CANCEL_SECONDS", LADDER_SECONDS)
    monkeypatch.setattr(engine_client, "TERMINATE_SECONDS", LADDER_SECONDS)
    harmed = Harmed(home)

    async with harmed.app.run_test(size=(120, 40)) as pilot:
        await harmed.begin(pilot)
        await harmed.harm(pilot, way)
        assert harmed.app.workspace.training
        await harmed.app.workspace.close()

    assert RECORD_TEXT not in " ".join(harmed.failures) + locations.log_file().read_text()


def test_the_terminal_is_as_before_after_engines_died_and_the_person_quit(home: Path) -> None:
    assert terminal_after("SIGSEGV") == []


def test_a_run_killed_again_and_again_ends_with_the_same_bits(home: Path, model_cache: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.crash", "--kills", "6", "--seed", "3"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "runs end as the uninterrupted one" in result.stdout
