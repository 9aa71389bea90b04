"""From a record of any shape to a pair: which field holds the question, which the answer, the topic, the hospital.

Three shapes are understood: flat records (`question`, `answer`), Alpaca records (`instruction`, `input`, `output`), and chats (a
list of messages with roles, of which the first question and its answer count). A mapping names the fields; `a + b` joins two.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.data.pairs import HOSPITAL_NAME, TEST, TRAIN, VALIDATION, Pair
from engine.data.text import Unusable, cleaned
from engine.errors import DataError
from engine.protocol import FieldMapping

NAMES: dict[str, tuple[str, ...]] = {
    "question": ("question", "instruction", "prompt", "query", "input", "questiontext", "patientquestion", "q"),
    "answer": ("answer", "output", "response", "completion", "reply", "longanswer", "answertext", "target", "a"),
    "topic": ("topic", "focus", "questionfocus", "subject", "disease", "condition", "category", "topicname", "subjectname"),
    "kind": ("kind", "qtype", "questiontype", "type"),
    "split": ("split", "partition", "fold"),
    "id": ("id", "qid", "uid", "key", "pubid"),
}
"""Best guess first; compared in lower case, letters and digits only."""
HOSPITAL_NAMES = ("hospital", "silo", "institution", "clinic", "centre", "center", "hospitalname", "hospitalid")
MIN_TELLING = 5
"""Letters that make a word tell what a field holds, among other words."""
CHATS = ("messages", "conversations", "conversation")
SPLIT_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "eval": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
JOIN = " + "
_USER_ROLES = {"user", "human", "patient", "prompter"}
_ASSISTANT_ROLES = {"assistant", "gpt", "doctor", "bot", "model"}


class Misfit(Exception):
    """A record that is no pair: which field, and what is wrong with it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def guess(fields: Sequence[str], given: FieldMapping) -> FieldMapping:
    """The names given, and a guess for each that is empty; still empty where no field's name fits."""
    by_key = {_key(name): name for name in reversed(fields)}
    found = {role: getattr(given, role) or _first_of(names, by_key) for role, names in NAMES.items()}
    for role in ("question", "answer"):
        found[role] = found[role] or _only_with_word(NAMES[role], fields)
    chat = next((by_key[name] for name in CHATS if name in by_key), "")
    if chat and not (given.question or given.answer):
        found["question"] = found["answer"] = chat
    elif {"instruction", "input", "output"} <= set(by_key) and not given.question:
        found["question"] = f"{by_key['instruction']}{JOIN}{by_key['input']}"
    return FieldMapping(**found)


def guess_hospital_field(fields: Sequence[str]) -> str:
    """The field that seems to name the hospital, or empty."""
    return _first_of(HOSPITAL_NAMES, {_key(name): name for name in reversed(fields)})


def check_mapping(mapping: FieldMapping, hospital_field: str, fields: Sequence[str], where: str) -> None:
    """Raises DataError when a named field is not in the source, or question or answer is missing."""
    listed = ", ".join(repr(name) for name in fields[:20]) or "none"
    for role in ("question", "answer"):
        if not getattr(mapping, role):
            raise DataError(
                f"no field seems to hold the {role}; its fields are {listed}.",
                where=where,
                hint=f"Name it with --{role}-field.",
            )
    named = [name for role in msgspec.structs.asdict(mapping).values() for name in role.split(JOIN)]
    for name in [*named, hospital_field]:
        if name and name not in fields:
            raise DataError(f"there is no field {name!r}; its fields are {listed}.", where=where, hint="Name one of those.")


def to_pair(record: Mapping[str, Any], mapping: FieldMapping, hospital_field: str, changes: Counter[str]) -> Pair:
    """The record as a pair; `hospital` is as the source spells it, and like `split` empty when it does not say.

    Raises:
        Misfit: question or answer is missing, empty or not text; the split is no split.
    """
    question, answer = _exchange(record, mapping, changes)
    for field, text in (("question", question), ("answer", answer)):
        if not text:
            raise Misfit(_named(mapping, field), f"the {field} is empty")
    split = _text(record, mapping.split, changes)
    if split and split.lower() not in SPLIT_WORDS:
        raise Misfit(mapping.split, "it names no split")
    hospital = _text(record, hospital_field, changes)
    if hospital_field and not hospital:
        raise Misfit(hospital_field, "it does not say which hospital")
    return Pair(
        id=_text(record, mapping.id, changes),
        question=question,
        answer=answer,
        topic=" ".join(_text(record, mapping.topic, changes).split()),
        kind=_text(record, mapping.kind, changes),
        hospital=hospital,
        split=SPLIT_WORDS[split.lower()] if split else "",
    )


def hospital_name(value: str) -> str:
    """A value of the hospital field as a name that can be a folder: `St. Mary's` becomes `St.-Marys`."""
    value = value.removeprefix("hospital_")
    if HOSPITAL_NAME.fullmatch(value):
        return value
    plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode().replace("'", "")
    name = re.sub(r"[^A-Za-z0-9._]+", "-", plain).strip("-._")
    if name and len(name) <= 40:
        return name
    return f"{name[:31].rstrip('-._') or 'h'}-{hashlib.sha256(value.encode()).hexdigest()[:8]}"


def _exchange(record: Mapping[str, Any], mapping: FieldMapping, changes: Counter[str]) -> tuple[str, str]:
    """Question and answer of a flat record or of the first exchange of a chat."""
    messages = record.get(mapping.question)
    if mapping.question == mapping.answer and isinstance(messages, list | tuple):
        return _first(messages, _USER_ROLES, mapping, changes), _first(messages, _ASSISTANT_ROLES, mapping, changes)
    parts = (_text(record, name, changes) for name in mapping.question.split(JOIN))
    return "\n".join(part for part in parts if part), _text(record, mapping.answer, changes)


def _first(messages: Sequence[Any], roles: set[str], mapping: FieldMapping, changes: Counter[str]) -> str:
    for message in messages:
        if not isinstance(message, Mapping):
            raise Misfit(mapping.question, "a message is not an object with role and content")
        if str(message.get("role", message.get("from", ""))).lower() in roles:
            return _clean(message.get("content", message.get("value")), mapping.question, changes)
    return ""


def _text(record: Mapping[str, Any], name: str, changes: Counter[str]) -> str:
    return _clean(record.get(name), name, changes) if name else ""


def _clean(value: Any, field: str, changes: Counter[str]) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Misfit(field, f"{field!r} is not text")
    try:
        return cleaned(str(value), changes)
    except Unusable as error:
        raise Misfit(field, f"{field!r} {error}") from None


def _first_of(names: Sequence[str], by_key: Mapping[str, str]) -> str:
    return next((by_key[name] for name in names if name in by_key), "")


def _only_with_word(names: Sequence[str], fields: Sequence[str]) -> str:
    """The one field with a telling word in its name, as in "Clinician reply"; empty when none or several have one."""
    telling = {name for name in names if len(name) >= MIN_TELLING}
    fitting = [field for field in fields if telling & {_key(word) for word in re.split(r"[^A-Za-z]+", field)}]
    return fitting[0] if len(fitting) == 1 else ""


def _named(mapping: FieldMapping, role: str) -> str:
    name: str = getattr(mapping, role)
    return name


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
