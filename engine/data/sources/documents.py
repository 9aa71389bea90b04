"""The documents of a folder, a tar or a zip, one at a time and in memory: nothing is ever unpacked to disk."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from engine.data.sources.base import MAX_LINE
from engine.data.sources.lines import reading
from engine.errors import DataError


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its path inside the archive, its bytes (None when it is too large), and how far the reading has come."""

    name: str
    data: bytes | None
    done: int


def documents(path: Path, suffix: str) -> Iterator[Document]:
    """Every file that ends in `suffix`, by name in a folder and a zip, in archive order in a tar.

    Raises:
        DataError: damaged or cut short, encrypted, or a name that climbs out of the archive.
    """
    if path.is_dir():
        return _in_folder(path, suffix)
    return _in_zip(path, suffix) if zipfile.is_zipfile(path) else _in_tar(path, suffix)


def size(path: Path) -> int:
    """What `done` of the last document will be: files of a folder, bytes of an archive."""
    return sum(1 for _ in path.rglob("*.xml")) if path.is_dir() else path.stat().st_size


def _in_folder(folder: Path, suffix: str) -> Iterator[Document]:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"*{suffix}"))
    for done, name in enumerate(names, start=1):
        path = folder / name
        if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            continue  # as with links in an archive
        with reading(path):
            too_large = path.stat().st_size > MAX_LINE
            yield Document(name, None if too_large else path.read_bytes(), done)


def _in_tar(path: Path, suffix: str) -> Iterator[Document]:
    try:
        with reading(path), path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:*") as archive:
            for member in archive:
                _refuse_climbing(member.name, path)
                if not member.isfile() or not member.name.lower().endswith(suffix):
                    continue
                file = archive.extractfile(member)
                data = file.read() if file and member.size <= MAX_LINE else None
                yield Document(member.name, data, raw.tell())
    except tarfile.TarError as error:
        raise DataError(f"the archive is damaged or cut short: {error}.", where=str(path), hint="Download it again.") from None


def _in_zip(path: Path, suffix: str) -> Iterator[Document]:
    try:
        with reading(path), zipfile.ZipFile(path) as archive:
            done = 0
            for member in sorted(archive.infolist(), key=lambda member: member.filename):
                _refuse_climbing(member.filename, path)
                done += member.compress_size
                if member.filename.lower().endswith(suffix):
                    too_large = member.file_size > MAX_LINE
                    yield Document(member.filename, None if too_large else archive.read(member), done)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"the archive is damaged: {error}.", where=str(path), hint="Download it again.") from None
    except RuntimeError as error:  # the library's word for "needs a password"
        raise DataError(f"the archive cannot be opened: {error}.", where=str(path), hint="Unpack it yourself first.") from None


def _refuse_climbing(name: str, path: Path) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
        raise DataError(
            f"it holds a file that would be written outside its folder ({name[:80]!r}).",
            where=str(path),
            hint="Do not trust this archive; nothing of it was used.",
        )
