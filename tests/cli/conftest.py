"""A run that a tiny model really trained, for the commands that read runs or go on with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fedmed_tui import cli, runs
from tests.cli.helpers import QUICK, TRAINED, edit_json


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, model_cache: Path) -> Path:
    """A working folder with one finished run of two rounds."""
    folder = tmp_path_factory.mktemp("trained-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDMED_HOME", str(folder))
        patch.setenv("FEDMED_CACHE", str(model_cache))
        patch.setenv("FEDMED_LOG", str(folder / "engine.log"))
        assert cli.main(["train", "--rounds", "2", "--model", str(tiny_model), "--run", TRAINED, *QUICK]) == cli.DONE
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
