"""A pair: one question with its answer, the topic it is about, and where it belongs.

Field names here are the names on disk, in JSON lines and in Parquet alike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from engine.errors import DataError
from engine.protocol import BASE, GLOBAL

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
HALF_PAIR = re.compile(r"[\ud800-\udfff]")
"""JSON can write these halves of UTF-16 alone; they are no text, and no file or event can hold them."""
HOSPITAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
RESERVED = (BASE, GLOBAL)
"""Names of adapters that are no hospital's: one that was called so would lose its own."""
RENAME = "Give every hospital a name of its own, in more than upper and lower case."


def folder_of(hospital: str) -> str:
    """`hospital_X`, the name of what belongs to a hospital. Raises DataError when a name could lead anywhere else."""
    if not HOSPITAL_NAME.fullmatch(hospital):
        hint = "Use up to 40 letters, digits, '.', '_' and '-'."
        raise DataError("is not a hospital's name.", where=repr(hospital)[:100], hint=hint)
    return f"hospital_{hospital}"


@dataclass(frozen=True, slots=True)
class Pair:
    """One question with its answer. `split` is train, validation or test; a topic never crosses splits."""

    id: str
    question: str
    answer: str
    topic: str
    kind: str
    hospital: str
    split: str


def name_conflict(hospitals: Iterable[str], reserved: Iterable[str] = RESERVED) -> str:
    """Which hospitals could not be told apart, from each other or from what `reserved` names; empty when all can be.

    Upper and lower case make no difference: on many a disk they make none to a folder.
    """
    taken = {name.casefold(): "" for name in reserved}
    for name in hospitals:
        other = taken.setdefault(name.casefold(), name)
        if not other:
            return f"'{name}' cannot name a hospital: that name has another meaning here."
        if other != name:
            return f"hospitals '{other}' and '{name}' differ only in upper and lower case."
    return ""


FIELDS = tuple(field.name for field in fields(Pair))
REQUIRED = ("question", "answer")


def pair_from_record(record: object, *, hospital: str, where: str) -> Pair:
    """A pair from one stored record.

    Args:
        record: what the file holds; anything but a mapping is refused.
        hospital: the partition it was read from.
        where: file and line or row, for the error.

    Raises:
        DataError: no mapping, a required field missing or blank, a field that is not text, an unknown split.
    """
    if not isinstance(record, Mapping):
        raise DataError("is not a pair.", where=where, hint="Each line must be a JSON object with a question and an answer.")
    for name in REQUIRED:
        if name not in record:
            found = ", ".join(repr(key) for key in list(record)[:8]) or "none"
            raise DataError(
                f"there is no field '{name}'; its fields are {found}.",
                where=where,
                hint="Rename the field, or bring the file in with `fedmed-tui data import`.",
            )
    values = {name: _text(record, name, where) for name in FIELDS}
    for name in REQUIRED:
        if not values[name]:
            raise DataError(f"the {name} is empty.", where=where, hint="Fill it in, or take the pair out.")
    split = values["split"] or TRAIN
    if split not in SPLITS:
        raise DataError("its field 'split' names no split.", where=where, hint=f"Use one of: {', '.join(SPLITS)}.")
    return Pair(**{**values, "hospital": hospital, "split": split})


def _text(record: Mapping[str, object], name: str, where: str) -> str:
    value = record.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"the field '{name}' is not text.", where=where, hint="Put it in quotes.")
    if HALF_PAIR.search(value):
        raise DataError(f"the field '{name}' holds half a character.", where=where, hint="Save the file as UTF-8 again.")
    return value.strip()


def topic_counts(pairs: Iterable[Pair]) -> Counter[str]:
    """Pairs by topic, spelled as it first appears; topics that differ only in case are one."""
    spelled: dict[str, str] = {}
    return Counter(spelled.setdefault(pair.topic.lower(), pair.topic) for pair in pairs if pair.topic)
