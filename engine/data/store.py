"""Imported partitions on disk: `hospital_X/pairs.parquet` with `manifest.json` beside it, replaced all together or not at all.

Sequence of a write: everything goes into a hidden folder beside the target; the target is renamed away, the new folder takes its
name, the old one is deleted. A process killed between the two renames leaves the old data under its hidden name, from where
`recover` puts it back.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from engine import strict_json
from engine.data.pairs import FIELDS, Pair
from engine.errors import DataError
from engine.files import read_regular, sha256_of, sync_folder
from engine.protocol import Reject

PREFIX = "hospital_"
PAIRS_FILE = "pairs.parquet"
MANIFEST_FILE = "manifest.json"
REJECTS_FILE = "rejects.jsonl"
SIDE_FILES = (REJECTS_FILE, ".DS_Store", ".gitignore", ".gitkeep")
SCHEMA_VERSION = 1
MAX_MANIFEST = 2**20
SCHEMA = pa.schema([(name, pa.string()) for name in FIELDS])


class Manifest(Struct, frozen=True, kw_only=True):
    """Where a partition came from. No time of day in it: the same import writes the same bytes."""

    schema_version: int = SCHEMA_VERSION
    hospital: str
    source: str
    """The file, archive or data set it was imported from."""
    source_kind: str
    source_sha256: str
    """Of the source's content; empty for a data set of the hub."""
    licence: str
    """Empty when nobody said."""
    partition: str
    """How pairs came to this hospital, in words."""
    deidentified: bool
    pairs: dict[str, int]
    """By split."""
    topics: int
    tokens: int
    """By the bundled model's tokenizer; 0 when it was not there."""
    split_rule: str
    seed: int
    sha256: str = ""
    """Of `pairs.parquet`."""


_decoder = msgspec.json.Decoder(Manifest)


def write_partition(folder: Path, pairs: Sequence[Pair], manifest: Manifest) -> None:
    """Write one hospital's partition into `folder`, with the digest of what was written filled in."""
    folder.mkdir(parents=True)
    path = folder / PAIRS_FILE
    table = pa.Table.from_pylist([asdict(pair) for pair in pairs], schema=SCHEMA)
    pq.write_table(table, path, compression="zstd")
    sealed = msgspec.structs.replace(manifest, sha256=file_digest(path))
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(sealed), indent=2) + b"\n")
    for written in (path, folder / MANIFEST_FILE):
        _sync_file(written)
    sync_folder(folder)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of one partition folder. Raises DataError when it is missing, damaged or of a later version."""
    path = folder / MANIFEST_FILE
    try:
        manifest = strict_json.decode(read_regular(path, MAX_MANIFEST), _decoder)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}.", where=str(path), hint="Import the data again.") from None
    except ValueError as error:
        raise DataError(f"is damaged: {error}.", where=str(path), hint="Import the data again.") from None
    if manifest.schema_version != SCHEMA_VERSION:
        raise DataError(
            f"has schema version {manifest.schema_version}, this program reads {SCHEMA_VERSION}.",
            where=str(path),
            hint="Import the data again with this version.",
        )
    return manifest


def read_records(folder: Path) -> list[dict[str, Any]]:
    """The rows of one partition folder. Raises DataError when a file is damaged or was changed after the import."""
    manifest, path = read_manifest(folder), folder / PAIRS_FILE
    if file_digest(path) != manifest.sha256:
        raise DataError("is not the file its manifest describes.", where=str(path), hint="Import the data again.")
    try:
        table = pq.read_table(path)
        table.validate(full=True)
        records: list[dict[str, Any]] = table.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot be read as Parquet: {error}.", where=str(path), hint="Import the data again.") from None
    return records


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A fresh folder that takes the place of `target` when the block ends well, and vanishes when it does not.

    Raises:
        DataError: `target` holds something that is not partitions, or the disk is full or read-only.
    """
    recover(target)
    _refuse_foreign(target)
    fresh = _hidden(target, "new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        yield fresh
        _swap(fresh, target)
    except OSError as error:
        raise unwritable(target, error) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def recover(target: Path) -> None:
    """Put the former partitions back when a write was killed between its two renames."""
    old = _hidden(target, "old")
    if old.is_dir() and not target.exists():
        old.rename(target)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex. Raises DataError when it cannot be read."""
    try:
        return sha256_of(path)
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}.", where=str(path), hint="Check the file and its permissions."
        ) from None


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and digests of a folder's files, in hex. Hidden files do not count."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        total.update(f"{path.relative_to(folder).as_posix()} {file_digest(path)}\n".encode())
    return total.hexdigest()


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file or folder that the system will not let us read."""
    reason = error.strerror or str(error)
    return DataError(f"cannot be read: {reason}.", where=str(path), hint="Check that it exists and its permissions.")


def unwritable(path: Path, error: OSError) -> DataError:
    """The error for a file or folder that the disk does not take."""
    hint = "Free some space or choose another folder; what was there is untouched."
    return DataError(f"cannot be written: {error.strerror or error}.", where=str(path), hint=hint)


def write_rejects(path: Path, rejects: Sequence[Reject]) -> None:
    """One line a reject: where, which field, why; never the text itself. Raises DataError when the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.Encoder().encode_lines(rejects))
    except OSError as error:
        raise unwritable(path, error) from None


def _swap(fresh: Path, target: Path) -> None:
    old = _hidden(target, "old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _hidden(target: Path, which: str) -> Path:
    return target.parent / f".{target.name}.{which}"


def _refuse_foreign(target: Path) -> None:
    """A write replaces the whole folder, so it must hold nothing but partitions and their side files."""
    if not target.exists():
        return
    if not target.is_dir():
        raise DataError("is a file.", where=str(target), hint="Name a folder to import into.")
    names = (path.name for path in sorted(target.iterdir()))
    foreign = [name for name in names if not name.startswith(PREFIX) and name not in SIDE_FILES]
    if foreign:
        raise DataError(
            f"it holds other files ({', '.join(foreign[:3])}), and an import replaces the whole folder.",
            where=str(target),
            hint="Name a new or empty folder.",
        )


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
