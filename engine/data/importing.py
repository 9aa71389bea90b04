"""The import job: a file of pairs becomes one partition per hospital."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine import locations
from engine.data import store
from engine.data.pairs import FIELDS, HOSPITAL_NAME, SPLITS, TEST, TRAIN, VALIDATION, Pair, pair_from_record
from engine.data.partition import summarize
from engine.errors import DataError
from engine.protocol import ImportData, PartitionDescribed, Progress

GZIP_MAGIC = b"\x1f\x8b"
PROGRESS_EVERY = 500
SPLIT_RULE = "as in the source, else by the SHA-256 of the topic: 85 % train, 5 % validation, 10 % test"
SPLIT_WORDS = {"val": VALIDATION, "valid": VALIDATION, "dev": VALIDATION}
FIELD_NAMES = {"topic": ("topic", "focus"), "kind": ("kind", "qtype")}


def import_data(command: ImportData) -> Iterator[Progress | PartitionDescribed]:
    """Read `command.source`, write one partition per value of `command.hospital_field` under `command.target`.

    Raises:
        DataError: see `read_pairs`; or the target cannot be written. What was there before stays as it was.
    """
    source, target = Path(command.source).expanduser(), locations.data_folder(command.target)
    by_hospital: dict[str, list[Pair]] = {}
    for number, record in _records(source):
        pair = _to_pair(record, command.hospital_field, f"{source}, line {number}")
        by_hospital.setdefault(pair.hospital, []).append(pair)
        if number % PROGRESS_EVERY == 0:
            yield Progress(job=command.job, what="Reading pairs", done=number, total=0)
    if not by_hospital:
        raise DataError("there are no pairs in it.", where=str(source), hint="Choose another file.")
    with store.replacing(target) as fresh:
        for done, (hospital, pairs) in enumerate(sorted(by_hospital.items()), start=1):
            store.write_partition(fresh / f"{store.PREFIX}{hospital}", pairs, _manifest(source, pairs))
            yield Progress(job=command.job, what="Writing partitions", done=done, total=len(by_hospital))
    for _, pairs in sorted(by_hospital.items()):
        yield summarize(command.job, target, pairs, examples=5)


def topic_split(topic: str) -> str:
    """The split all pairs of a topic belong to: 85 % train, 5 % validation, 10 % test, by hash."""
    number = int(hashlib.sha256(f"split:{topic.lower()}".encode()).hexdigest()[:8], 16) % 100
    return TEST if number < 10 else VALIDATION if number < 15 else TRAIN


def _records(source: Path) -> Iterator[tuple[int, Any]]:
    """Line number and parsed object of each line of a JSON-lines file, gzip or not."""
    try:
        with source.open("rb") as probe:
            opener = gzip.open if probe.read(2) == GZIP_MAGIC else open
        with opener(source, "rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _parse(line, f"{source}, line {number}")
    except EOFError:
        raise DataError("the gzip file is cut short.", where=str(source), hint="Download or copy it again.") from None
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror or error}.", where=str(source), hint="Check the path and permissions."
        ) from None


def _parse(line: bytes, where: str) -> object:
    try:
        return json.loads(line)
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text.", where=where, hint="Save the file as UTF-8.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON: {error}.", where=where, hint="Each line must be one JSON object.") from None


def _to_pair(record: Any, hospital_field: str, where: str) -> Pair:
    if isinstance(record, dict) and hospital_field not in record:
        found = ", ".join(f"'{key}'" for key in list(record)[:16])
        raise DataError(f"there is no field '{hospital_field}'.", where=where, hint=f"Name one of these: {found}.")
    hospital = str(record[hospital_field]).removeprefix(store.PREFIX) if isinstance(record, dict) else ""
    if isinstance(record, dict) and not HOSPITAL_NAME.fullmatch(hospital):
        raise DataError(f"{hospital[:40]!r} cannot name a hospital.", where=where, hint="Use letters, digits, '.', '_' and '-'.")
    return pair_from_record(_renamed(record), hospital=hospital, where=where)


def _renamed(record: Any) -> Any:
    """The record under this project's field names."""
    if not isinstance(record, dict):
        return record
    fields = {name: record[name] for name in FIELDS if name in record}
    for name, others in FIELD_NAMES.items():
        fields[name] = next((record[other] for other in others if record.get(other)), "")
    split = str(record.get("split") or topic_split(str(fields["topic"] or record.get("question", ""))))
    return {**fields, "split": SPLIT_WORDS.get(split, split)}


def _manifest(source: Path, pairs: list[Pair]) -> store.Manifest:
    return store.Manifest(
        hospital=pairs[0].hospital,
        source=source.name,
        source_sha256=store.file_digest(source),
        licence="",
        pairs=dict(store.count_by_split(pairs, SPLITS)),
        topics=len({pair.topic for pair in pairs}),
        split_rule=SPLIT_RULE,
        seed=0,
        sha256="",
    )
