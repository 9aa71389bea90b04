"""Where pairs can come from, recognised by what is in a file and not only by its name."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path

from engine import locations
from engine.data import partition
from engine.data.sources.base import Source
from engine.data.sources.delimited import delimited
from engine.data.sources.jsontext import json_array, json_lines
from engine.data.sources.lines import GZIP_MAGIC, open_text, reading
from engine.data.sources.medquad import medquad
from engine.data.sources.tables import hub_dataset, parquet, partitions, saved_dataset
from engine.errors import DataError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(:[\w.-]+)?")
PARQUET_MAGIC = b"PAR1"
KNOWN = "JSON lines, a JSON array, CSV, TSV, Parquet, a MedQuAD archive, a saved data set, or a hub id such as owner/name"
_NOT_DATA = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"BZh", "a bzip2 archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"SQLite format 3", "a database"),
)


def open_source(place: str, encoding: str = "") -> Source:
    """Recognise what `place` is: `sample`, a file, a folder, or a data set on the hub.

    Raises:
        DataError: nothing there, unreadable, or of no kind we know; says what it seems to be.
    """
    path = locations.data_folder(place)
    with reading(path):
        if path.is_dir():
            return _folder(path)
        if path.is_file():
            return _file(path, encoding)
    if HUB_ID.fullmatch(place) and not path.parent.exists():
        return hub_dataset(place)
    raise DataError("there is no such file or folder.", where=str(path), hint=f"It can be {KNOWN}.")


def _folder(path: Path) -> Source:
    if (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
        return saved_dataset(path)
    hospitals = partition.find_partitions(path)
    if hospitals:
        return partitions(path, hospitals)
    if next(path.rglob("*.xml"), None):
        return medquad(path)
    if any(next(path.rglob(f"*{suffix}"), None) for suffix in (".parquet", ".jsonl", ".csv")):
        return hub_dataset(str(path))
    raise DataError("there is nothing to import in this folder.", where=str(path), hint=f"It can be {KNOWN}.")


def _file(path: Path, encoding: str) -> Source:
    with path.open("rb") as raw:
        start = raw.read(16)
    if not start:
        raise DataError("the file is empty.", where=str(path), hint="Export it again.")
    if start.startswith(PARQUET_MAGIC):
        return parquet(path)
    if zipfile.is_zipfile(path):
        return _zip(path)
    if tarfile.is_tarfile(path):
        return medquad(path)
    for magic, what in _NOT_DATA:
        if start.startswith(magic):
            raise DataError(f"is {what}, not data we can read.", where=str(path), hint=f"It can be {KNOWN}.")
    return _text(path, encoding, ", gzip" if start.startswith(GZIP_MAGIC) else "")


def _zip(path: Path) -> Source:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"the archive is damaged: {error}.", where=str(path), hint="Download it again.") from None
    if any(name.startswith("xl/") for name in names):
        raise DataError("is an Excel workbook.", where=str(path), hint="Save the sheet as CSV and import that.")
    if any(name.lower().endswith(".xml") for name in names):
        return medquad(path)
    raise DataError("there is no MedQuAD XML in this archive.", where=str(path), hint="Unpack it and import the file inside.")


def _text(path: Path, encoding: str, packed: str) -> Source:
    with open_text(path, encoding) as file:
        line = next((line for line in file.lines() if line and line.strip()), "")
    first = line.lstrip()[:1]
    if first == "{":
        return json_lines(path, encoding, packed)
    if first == "[":
        return json_array(path, encoding, packed)
    source = delimited(path, encoding, packed) if first and "\x00" not in line else None
    if source is None:
        raise DataError("is not a kind of data we know.", where=str(path), hint=f"It can be {KNOWN}.")
    return source
