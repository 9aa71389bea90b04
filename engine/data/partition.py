"""Partitions on disk: which hospitals a folder holds, and the pairs of one of them.

A partition is either `hospital_X.jsonl` (one pair a line, written by hand) or a folder `hospital_X/` with `pairs.parquet` and
`manifest.json` (written by an import). The part after `hospital_` is the hospital's name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from engine import locations
from engine.data import store
from engine.data.pairs import (
    HOSPITAL_NAME,
    RENAME,
    TEST,
    TRAIN,
    VALIDATION,
    Pair,
    name_conflict,
    pair_from_record,
    topic_counts,
)
from engine.data.tokens import count_tokens
from engine.errors import DataError
from engine.protocol import LENGTH_BIN, PairExample, PartitionDescribed

PREFIX = store.PREFIX
SUFFIX = ".jsonl"
TOP_TOPICS = 12
LENGTH_BINS = 200


def list_hospitals(folder: Path) -> tuple[str, ...]:
    """Names of the hospitals in `folder`, sorted. Raises DataError when there is no such folder or no hospital in it."""
    return tuple(sorted(_partitions(folder)))


def read_partition(folder: Path, hospital: str) -> list[Pair]:
    """All pairs of one hospital, in file order.

    Raises:
        DataError: unknown hospital, unreadable or malformed file, a pair that cannot be used (with its line or row),
            or no training or no validation pairs.
    """
    path = _partition(folder, hospital)
    pairs = _read(path, hospital)
    _check_splits(pairs, path)
    return pairs


def describe(job: str, folder: Path, examples: int) -> Iterator[PartitionDescribed]:
    """One `PartitionDescribed` per hospital of `folder`, each with its first `examples` training pairs."""
    for hospital in list_hospitals(folder):
        yield summarize(job, folder, read_partition(folder, hospital), examples)


def summarize(job: str, folder: Path, pairs: list[Pair], examples: int) -> PartitionDescribed:
    """The numbers of one hospital's pairs (at least one), and where they came from."""
    hospital = pairs[0].hospital
    splits = Counter(pair.split for pair in pairs)
    topics = topic_counts(pairs)
    words = [len(pair.answer.split()) for pair in pairs]
    own = folder / f"{PREFIX}{hospital}"
    manifest = store.read_manifest(own) if own.is_dir() else None
    source, licence = (manifest.source, manifest.licence) if manifest else _origin(folder)
    shown = [pair for pair in pairs if pair.split == TRAIN][:examples]
    return PartitionDescribed(
        job=job,
        hospital=hospital,
        folder=str(folder),
        train=splits[TRAIN],
        validation=splits[VALIDATION],
        test=splits[TEST],
        topics=len(topics),
        answer_words=round(sum(words) / len(words)),
        kinds=dict(Counter(pair.kind for pair in pairs if pair.kind).most_common()),
        top_topics=dict(topics.most_common(TOP_TOPICS)),
        examples=tuple(
            PairExample(question=pair.question, answer=pair.answer, topic=pair.topic, split=pair.split) for pair in shown
        ),
        tokens=(manifest.tokens if manifest else 0) or count_tokens(pairs),
        answer_lengths=_histogram(words),
        source=source,
        licence=licence,
    )


def _origin(folder: Path) -> tuple[str, str]:
    """Source and licence of partitions without a manifest: only those of the sample corpus are known."""
    is_sample = folder.name == "sample" and folder == locations.sample_folder()
    return ("written for this project", "Apache-2.0") if is_sample else ("", "")


def _histogram(words: list[int]) -> tuple[int, ...]:
    """Answers per bin of `LENGTH_BIN` words; what is longer than all bins is in the last."""
    counts = Counter(min(length // LENGTH_BIN, LENGTH_BINS - 1) for length in words)
    return tuple(counts[at] for at in range(max(counts) + 1))


def _partition(folder: Path, hospital: str) -> Path:
    """The hospital's file or folder, without a look at all the others. Raises DataError when there is none."""
    own = [folder / f"{PREFIX}{hospital}", folder / f"{PREFIX}{hospital}{SUFFIX}"]
    own = [path for path in own if _hospital_name(path) == hospital and path.exists()]
    if len(own) == 1:
        return own[0]
    partitions = _partitions(folder)  # says so where there are two
    if hospital in partitions:  # they were just recovered
        return partitions[hospital]
    raise DataError(f"there is no hospital '{hospital}'.", where=str(folder), hint=f"It holds: {', '.join(partitions)}.")


def _partitions(folder: Path) -> dict[str, Path]:
    """Hospital name to its file or folder."""
    try:
        store.recover(folder)
        found = find_partitions(folder)
    except FileNotFoundError:
        raise DataError(
            "there is no such folder.", where=str(folder), hint="Check data.folder, or run `fedmed-tui data import` first."
        ) from None
    except NotADirectoryError:
        raise DataError("is a file, not a folder of partitions.", where=str(folder), hint="Name the folder it is in.") from None
    except OSError as error:
        raise store.unreadable(folder, error) from None
    if not found:
        raise DataError(
            "there is no hospital in this folder.",
            where=str(folder),
            hint="It should hold hospital_A.jsonl, hospital_B.jsonl …; `fedmed-tui data import` makes such a folder.",
        )
    if conflict := name_conflict(found):
        raise DataError(conflict, where=str(folder), hint=RENAME)
    return found


def find_partitions(folder: Path) -> dict[str, Path]:
    """Hospital name to its file or folder, sorted by name; empty when the folder holds none.

    Raises:
        DataError: one hospital has both; which of them is meant cannot be told.
        OSError: the folder cannot be read.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not (name := _hospital_name(path)):
            continue
        if name in found:
            raise DataError(
                f"holds both {found[name].name} and {path.name}.",
                where=str(folder),
                hint=f"Move one of them away: both are hospital {name}.",
            )
        found[name] = path
    return found


def read_all(hospitals: Mapping[str, Path]) -> Iterator[Pair]:
    """Every pair of these partitions, given by name, hospital after hospital, whether or not they could be trained on."""
    for hospital, path in hospitals.items():
        yield from _read(path, hospital)


def _read(path: Path, hospital: str) -> list[Pair]:
    return _read_parquet(path, hospital) if path.is_dir() else _read_jsonl(path, hospital)


def _hospital_name(path: Path) -> str:
    """The hospital a path is the partition of, or empty."""
    if not path.name.startswith(PREFIX):
        return ""
    is_partition = (path / store.PAIRS_FILE).is_file() if path.is_dir() else path.suffix == SUFFIX and path.is_file()
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
