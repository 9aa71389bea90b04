"""Files written so that a crash at any moment leaves the old content or the new, never half of it; files of anybody's read."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.errors import RunError

WRITING = ".writing-"
REMOVE_LINK = "Remove it: what is written there would land elsewhere."
"""What a person can do about a link in a run's folder."""
ABANDONED_SECONDS = 3600.0
"""A half-written folder that is older belongs to nobody any more: its writer was killed."""


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


def write_folder(parent: Path, name: str, fill: Callable[[Path], object]) -> Path:
    """A new folder below `parent`, there complete or not at all; a name that is taken gets a number. Raises OSError.

    Args:
        fill: puts the files into the folder it is given.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{WRITING}*"):
        if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=WRITING, dir=parent))
    try:
        fill(work)
        work.chmod(0o755)  # mkdtemp makes it private; what is written is for colleagues too
        target, number = parent / name, 1
        while target.exists():
            number += 1
            target = parent / f"{name}-{number}"
        return work.rename(target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def read_regular(path: Path, limit: int) -> bytes:
    """A file's bytes. Raises OSError: also when it is larger than `limit` bytes, or a pipe or device, which may never end."""
    found = path.stat()
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    if found.st_size > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit:,} bytes", str(path))
    return path.read_bytes()


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
