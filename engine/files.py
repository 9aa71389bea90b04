"""Writing files so that a crash at any moment leaves either the old content or the new, never half of it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from engine.errors import RunError


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: temporary file beside it, fsync, rename. Raises RunError when the disk refuses."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    except OSError as error:
        raise disk_error(path, error) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            Path(name).unlink()
        raise disk_error(path, error) from None


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_error(path: Path, error: OSError) -> RunError:
    """An OSError in words, with what a person can do."""
    return RunError(
        f"cannot be written: {error.strerror}.",
        where=str(path),
        hint="Free some space or check the folder's permissions; what was saved before is untouched.",
    )
