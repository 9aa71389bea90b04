"""A run that a tiny model really trained, for the commands that read runs or go on with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fedmed_tui import runs
from tests.cli.helpers import QUICK, TOLD, TRAINED, edit_json


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, model_cache: Path) -> Path:
    """A working folder with one finished run of two rounds, and what its training printed into a pipe."""
    folder = tmp_path_factory.mktemp("trained-home")
    places = {"FEDMED_HOME": str(folder), "FEDMED_CACHE": str(model_cache), "FEDMED_LOG": str(folder / "engine.log")}
    command = [sys.executable, "-m", "fedmed_tui", "train", "--rounds", "2", "--model", str(tiny_model), "--run", TRAINED, *QUICK]
    told = subprocess.run(command, env={**os.environ, **places}, capture_output=True, text=True, check=False, timeout=300)
    assert told.returncode == 0, told.stderr
    (folder / TOLD).write_text(told.stdout)
    return folder


@pytest.fixture
def trained_run(home: Path, trained_home: Path) -> Path:
    """This test's own copy of the run's folder."""
    folder = home / "output-models" / TRAINED
    shutil.copytree(trained_home / "output-models" / TRAINED, folder)
    return folder


@pytest.fixture
def unfinished_run(trained_run: Path) -> Path:
    """The run as a kill in its second round left it."""
    shutil.rmtree(trained_run / "rounds" / "002")
    edit_json(trained_run / "manifest.json", lambda manifest: manifest.update(completed=1, status="running"))
    events = runs.load_events(TRAINED)
    cut = next(index for index, stamped in enumerate(events) if getattr(stamped.event, "round", 0) == 2)
    lines = (trained_run / "events.jsonl").read_bytes().splitlines(keepends=True)
    (trained_run / "events.jsonl").write_bytes(b"".join(lines[: cut + 1]))
    return trained_run
