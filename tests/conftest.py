"""What every test may ask for: its own working folder, one shared cache of the expanded base model, the shared data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import locations

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

PARALLEL = "PYTEST_XDIST_WORKER" in os.environ
if PARALLEL:  # threads of engines beside each other would wait for one another
    os.environ.update(OMP_NUM_THREADS="1", FEDMED_THREADS="1")


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where converted base models lie. The user's own cache when it holds one already: expanding takes some 20 s."""
    own = locations.cache()
    if any(own.glob("models/*/complete")):
        return own
    base = tmp_path_factory.getbasetemp()
    return (base.parent if PARALLEL else base) / "cache"  # one for all workers


@pytest.fixture
def home(tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder for this test and the processes it starts; the engine's log is beside it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("FEDMED_HOME", str(folder))
    monkeypatch.setenv("FEDMED_CACHE", str(model_cache))
    monkeypatch.setenv("FEDMED_LOG", str(tmp_path / "engine.log"))
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random model of two small layers and a real tokenizer: the engine treats it like any other, in no time."""
    folder = tmp_path_factory.mktemp("tiny-model")
    script = Path(__file__).parent / "tiny_model.py"
    subprocess.run([sys.executable, str(script), str(folder)], check=True, timeout=120)  # torch stays out of this process
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public data sets that lie beside the checkout on the developers' machines."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the public data sets are not at {os.path.normpath(SHARED_DATA)}")
    return SHARED_DATA
