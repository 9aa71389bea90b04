"""Partitions on disk: which hospitals a folder holds, and the pairs of one of them.

A partition is either `hospital_X.jsonl` (one pair a line, written by hand) or a folder `hospital_X/` with `pairs.parquet` and
`manifest.json` (written by an import). The part after `hospital_` is the hospital's name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from engine.data import store
from engine.data.pairs import HOSPITAL_NAME, TEST, TRAIN, VALIDATION, Pair, pair_from_record
from engine.errors import DataError
from engine.protocol import PairExample, PartitionDescribed

PREFIX = store.PREFIX
SUFFIX = ".jsonl"
TOP_TOPICS = 12


def list_hospitals(folder: Path) -> tuple[str, ...]:
    """Names of the hospitals in `folder`, sorted. Raises DataError when there is no such folder or no hospital in it."""
    return tuple(sorted(_partitions(folder)))


def read_partition(folder: Path, hospital: str) -> list[Pair]:
    """All pairs of one hospital, in file order.

    Raises:
        DataError: unknown hospital, unreadable or malformed file, a pair that cannot be used (with its line or row),
            or no training or no validation pairs.
    """
    partitions = _partitions(folder)
    if hospital not in partitions:
        known = ", ".join(sorted(partitions))
        raise DataError(f"there is no hospital '{hospital}'.", where=str(folder), hint=f"It holds: {known}.")
    path = partitions[hospital]
    pairs = _read_parquet(path, hospital) if path.is_dir() else _read_jsonl(path, hospital)
    _check_splits(pairs, path)
    return pairs


def describe(job: str, folder: Path, examples: int) -> Iterator[PartitionDescribed]:
    """One `PartitionDescribed` per hospital of `folder`, each with its first `examples` training pairs."""
    for hospital in list_hospitals(folder):
        yield summarize(job, folder, read_partition(folder, hospital), examples)


def summarize(job: str, folder: Path, pairs: list[Pair], examples: int) -> PartitionDescribed:
    """The numbers of one hospital's pairs (at least one)."""
    splits = Counter(pair.split for pair in pairs)
    topics = Counter(pair.topic for pair in pairs)
    shown = [pair for pair in pairs if pair.split == TRAIN][:examples]
    return PartitionDescribed(
        job=job,
        hospital=pairs[0].hospital,
        folder=str(folder),
        train=splits[TRAIN],
        validation=splits[VALIDATION],
        test=splits[TEST],
        topics=len(topics),
        answer_words=round(sum(len(pair.answer.split()) for pair in pairs) / len(pairs)),
        kinds=dict(Counter(pair.kind for pair in pairs).most_common()),
        top_topics=dict(topics.most_common(TOP_TOPICS)),
        examples=tuple(
            PairExample(question=pair.question, answer=pair.answer, topic=pair.topic, split=pair.split) for pair in shown
        ),
    )


def _partitions(folder: Path) -> dict[str, Path]:
    """Hospital name to its file or folder."""
    try:
        store.recover(folder)
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        raise DataError(
            "there is no such folder.", where=str(folder), hint="Check data.folder, or run `fedmed-tui data import` first."
        ) from None
    except NotADirectoryError:
        raise DataError("is a file, not a folder of partitions.", where=str(folder), hint="Name the folder it is in.") from None
    except OSError as error:
        raise store.unreadable(folder, error) from None
    found = {name: path for path in entries if (name := _hospital_name(path))}
    if not found:
        raise DataError(
            "there is no hospital in this folder.",
            where=str(folder),
            hint="It should hold hospital_A.jsonl, hospital_B.jsonl …; `fedmed-tui data import` makes such a folder.",
        )
    return found


def _hospital_name(path: Path) -> str:
    """The hospital a path is the partition of, or empty."""
    if not path.name.startswith(PREFIX):
        return ""
    is_partition = (path / store.PAIRS_FILE).is_file() if path.is_dir() else path.suffix == SUFFIX
    name = path.name.removeprefix(PREFIX).removesuffix("" if path.is_dir() else SUFFIX)
    return name if is_partition and HOSPITAL_NAME.fullmatch(name) else ""


def _read_parquet(folder: Path, hospital: str) -> list[Pair]:
    path = folder / store.PAIRS_FILE
    return [
        pair_from_record(record, hospital=hospital, where=f"{path}, row {row}")
        for row, record in enumerate(store.read_records(folder), start=1)
    ]


def _read_jsonl(path: Path, hospital: str) -> list[Pair]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}.", where=str(path), hint="Check the file and its permissions."
        ) from None
    return [
        pair_from_record(_parse(line, where), hospital=hospital, where=where)
        for number, line in enumerate(lines, start=1)
        if line.strip() and (where := f"{path}, line {number}")
    ]


def _parse(line: bytes, where: str) -> object:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text.", where=where, hint="Save the file as UTF-8.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON: {error}.", where=where, hint="Each line must be one JSON object.") from None


def _check_splits(pairs: list[Pair], path: Path) -> None:
    if not pairs:
        raise DataError("there are no pairs in it.", where=str(path), hint="Add pairs, or leave this hospital out.")
    for split in (TRAIN, VALIDATION):
        if not any(pair.split == split for pair in pairs):
            raise DataError(
                f"it has no {split} pairs.",
                where=str(path),
                hint=f"Give some topics the split '{split}': a hospital trains on one part and is judged on another.",
            )
