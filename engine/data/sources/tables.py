"""Tables: Parquet files, folders that the `datasets` library saved, data sets on the Hugging Face hub, and partitions of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct, field

from engine import strict_json
from engine.data import store
from engine.data.pairs import FIELDS
from engine.data.sources.base import Row, Rows, Source
from engine.data.store import file_digest, folder_digest
from engine.errors import DataError
from engine.files import read_regular

BATCH = 500
"""Rows decoded at a time."""
MAX_JSON = 2**24
TABLES = ("arrow", "csv", "json", "parquet", "text")
"""What the `datasets` library reads as numbers and text alone."""


class _File(Struct):
    filename: str


class _State(Struct):
    files: list[_File] = field(name="_data_files")


class _Splits(Struct):
    splits: list[str]


_state_decoder = msgspec.json.Decoder(_State)
_splits_decoder = msgspec.json.Decoder(_Splits)


def parquet(path: Path) -> Source:
    """One Parquet file. Raises DataError when it is damaged."""
    try:
        with pq.ParquetFile(path) as file:
            total = file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    return Source(
        kind="Parquet",
        name=path.name,
        rows=partial(_parquet_rows, path),
        digest=partial(file_digest, path),
        total=total,
        path=path,
    )


def saved_dataset(path: Path) -> Source:
    """A folder written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk`."""
    from datasets import load_from_disk

    _refuse_saved_elsewhere(path)
    try:
        loaded = load_from_disk(str(path))
    except Exception as error:  # the library raises many kinds for a damaged folder
        raise _damaged(path, error) from None
    return _from_datasets(loaded, kind="saved data set", name=path.name, digest=partial(folder_digest, path), path=path)


def hub_dataset(place: str) -> Source:
    """A data set on the hub, as `owner/name` or `owner/name:configuration`, or a local folder laid out like one."""
    from datasets import load_dataset, load_dataset_builder

    path = Path(place)
    name, _, configuration = (place, "", "") if path.is_dir() else place.partition(":")
    try:
        builder = load_dataset_builder(name, configuration or None)
        if builder.name not in TABLES:
            raise DataError(f"its files are no tables ({builder.name}).", where=place, hint="Import the file itself.")
        if path.is_dir():
            for file in (file for files in (builder.config.data_files or {}).values() for file in files):
                _refuse_outside(Path(str(file)), path)
        loaded = load_dataset(name, configuration or None)
    except DataError:
        raise
    except Exception as error:  # not found, offline, several configurations, damaged …: the library says which
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"the data set cannot be loaded: {reason}.",
            where=place,
            hint="Check the name and the network; a configuration is given as owner/name:configuration.",
        ) from None
    if path.is_dir():
        return _from_datasets(loaded, kind="data set folder", name=path.name, digest=partial(folder_digest, path), path=path)
    return _from_datasets(loaded, kind="Hugging Face data set", name=place, digest=str)


def partitions(folder: Path, hospitals: Mapping[str, Path]) -> Source:
    """Partitions of this project's own form: every pair, with the hospital and the split it has now."""
    from engine.data.partition import read_all

    manifests = [store.read_manifest(path) for path in hospitals.values() if path.is_dir()]
    licences = {manifest.licence for manifest in manifests}
    return Source(
        kind="partitions",
        name=folder.name,
        rows=lambda: (Row(number, msgspec.to_builtins(pair), number) for number, pair in enumerate(read_all(hospitals), start=1)),
        digest=partial(folder_digest, folder),
        fields=FIELDS,
        licence="; ".join(sorted(licences)),
        path=folder,
    )


def _parquet_rows(path: Path) -> Rows:
    try:
        with pq.ParquetFile(path) as file:
            batches = (record for batch in file.iter_batches(BATCH) for record in batch.to_pylist())
            yield from (Row(number, record, number) for number, record in enumerate(batches, start=1))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from None


def _refuse_saved_elsewhere(folder: Path) -> None:
    """A saved data set names its files and its splits, which are folders: none may be anywhere else."""
    try:
        for path in sorted(folder.rglob("state.json")):
            for file in strict_json.decode(read_regular(path, MAX_JSON), _state_decoder).files:
                _refuse_outside(path.parent / file.filename, folder)
        if (folder / "dataset_dict.json").exists():
            for split in strict_json.decode(read_regular(folder / "dataset_dict.json", MAX_JSON), _splits_decoder).splits:
                _refuse_outside(folder / split, folder)
    except (ValueError, OSError) as error:
        raise _damaged(folder, error) from None


def _refuse_outside(file: Path, folder: Path) -> None:
    if not file.resolve().is_relative_to(folder.resolve()):
        hint = "Do not trust this data set; nothing of it was used."
        raise DataError(f"it names a file outside its folder ({str(file)[-80:]!r}).", where=str(folder), hint=hint)


def _from_datasets(loaded: Any, *, kind: str, name: str, digest: Any, path: Path | None = None) -> Source:
    """A `Dataset` or `DatasetDict` as a source; with several splits, each row says which it comes from."""
    splits = dict(loaded) if isinstance(loaded, dict) else {"": loaded}
    try:
        for split in splits.values():
            split.data.table.validate(full=True)  # else lengths and places out of a damaged file are believed
    except pa.ArrowException as error:
        raise _damaged(path or Path(name), error) from None
    return Source(
        kind=kind,
        name=name,
        rows=lambda: _dataset_rows(splits),
        digest=digest,
        total=sum(len(split) for split in splits.values()),
        licence=next((split.info.license for split in splits.values() if split.info.license), ""),
        path=path,
    )


def _dataset_rows(splits: Mapping[str, Any]) -> Rows:
    several = len(splits) > 1
    records = ((name, record) for name, split in splits.items() for record in _records(split))
    for number, (name, record) in enumerate(records, start=1):
        yield Row(number, {"split": name, **record} if several else record, number)


def _records(split: Any) -> Iterator[Mapping[str, Any]]:
    for start in range(0, len(split), BATCH):
        columns = split[start : start + BATCH]
        names = list(columns)
        yield from (dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _damaged(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:300]
    return DataError(f"cannot be read: {reason}.", where=str(path), hint="Copy or export it again.")
