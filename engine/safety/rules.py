"""The safety rules as data: read from `engine/safety/data`, checked, and compiled once.

The README there says what a rule means; this module only turns its patterns into regular expressions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from engine.chat_messages import GuardAction, Layer
from engine.errors import SettingsError

FOLDER = Path(__file__).parent / "data"
RULE_FILES = ("crises", "poisoning", "emergencies", "refusals", "answers")
"""In the order in which rules are tried."""
HINT = "See README.md beside the rules."
T = TypeVar("T")
Excuse = Literal["negated", "past", "general", "fiction"]

_TERM = re.compile(r"\{([a-z_]+)\}")
_WORD = r"(?!(?:not(?! (?:stop|able|sure|only))|no|never|without|denies|denied)\b)\w+"
"""A word that may stand between two parts of a pattern: any that does not turn its meaning round."""
_NEAR = re.compile(r"\s*([<>])(\d+)>\s*")


class RuleData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[rule]]` of the file."""

    id: str
    layer: Layer
    title: str
    reason: str
    source: str
    message: str = ""
    """A key of `[messages]`; empty for rules about answers."""
    action: GuardAction = "answered"
    advice: str = ""
    """A first step that does no harm, added to the message."""
    any: tuple[str, ...]
    with_: tuple[str, ...] = msgspec.field(default=(), name="with")
    unless: tuple[str, ...] = ()
    despite: tuple[Excuse, ...] = ()
    unless_asked: bool = False
    """About answers: numbers that stand in the question may be repeated."""


class RuleFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of rules."""

    rule: tuple[RuleData, ...]
    cues: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A rule, ready to be applied."""

    data: RuleData
    message: str
    any: tuple[re.Pattern[str], ...]
    with_: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...]

    @property
    def id(self) -> str:
        """Its name in the file."""
        return self.data.id


class Vocabulary:
    """Terms that patterns are made of."""

    def __init__(self, terms: dict[str, list[str]]) -> None:
        self._terms = terms
        self._expanded: dict[str, str] = {}

    def compile(self, pattern: str) -> re.Pattern[str]:
        """A pattern as a regular expression. Raises re.error when it is malformed, KeyError when a term is unknown."""
        return re.compile(self._with_distances(pattern))

    def _with_distances(self, pattern: str) -> str:
        first, *rest = _NEAR.split(pattern)
        text = self._bordered(first)
        for kind, words, part in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
            gap, following = rf"(?:\W+{_WORD}){{0,{words}}}?\W+", self._bordered(part)
            both = rf"|{following}{gap}{text}" if kind == "<" else ""
            text = rf"(?:{text}{gap}{following}{both})"
        return text

    def _bordered(self, pattern: str) -> str:
        return rf"\b(?:{self._expand(pattern)})\b".replace(r"(?:\w+ )", rf"(?:{_WORD} )")

    def _expand(self, pattern: str) -> str:
        return _TERM.sub(lambda found: self._term(found[1]), pattern)

    def _term(self, name: str) -> str:
        if name not in self._expanded:
            self._expanded[name] = "(?:" + "|".join(self._expand(one) for one in self._terms[name]) + ")"
        return self._expanded[name]


@dataclass(frozen=True)
class Rules:
    """Every rule, and what excuses a match."""

    all: tuple[Rule, ...]
    excuses: dict[str, tuple[re.Pattern[str], ...]]
    cues: re.Pattern[str]

    def of(self, layer: Layer) -> tuple[Rule, ...]:
        """The rules of one layer, in the order of the file."""
        return tuple(rule for rule in self.all if rule.data.layer == layer)

    def named(self, id: str) -> Rule:
        """One rule by its id."""
        return next(rule for rule in self.all if rule.id == id)

    def is_risky(self, answer: str) -> bool:
        """Whether the beginning of a sentence holds a cue that a rule about answers may apply to it."""
        return bool(self.cues.search(answer.lower()))


@cache
def load() -> Rules:
    """The project's rules. Raises SettingsError naming file, rule and pattern when something is malformed."""
    vocabulary = Vocabulary(_read("vocabulary", dict[str, list[str]]))
    messages = _read("messages", dict[str, dict[str, str]])["messages"]
    excuses = _read("excuses", dict[str, dict[str, list[str]]])["excuses"]
    files = [_read(name, RuleFile) for name in RULE_FILES]
    return Rules(
        all=tuple(_compiled(data, messages, vocabulary) for file in files for data in file.rule),
        excuses={name: tuple(map(re.compile, patterns)) for name, patterns in excuses.items()},
        cues=re.compile("|".join(cue for file in files for cue in file.cues)),
    )


def _read(name: str, kind: type[T]) -> T:
    try:
        return msgspec.toml.decode((FOLDER / f"{name}.toml").read_bytes(), type=kind)
    except msgspec.DecodeError as error:
        raise SettingsError(f"is malformed: {error}.", where=f"{name}.toml", hint=HINT) from None


def _compiled(data: RuleData, messages: dict[str, str], vocabulary: Vocabulary) -> Rule:
    try:
        message = "\n\n".join(part for part in (messages[data.message] if data.message else "", data.advice) if part)
        groups = (data.any, data.with_, data.unless)
        return Rule(data, message, *(tuple(map(vocabulary.compile, patterns)) for patterns in groups))
    except (re.error, KeyError) as error:
        raise SettingsError(f"cannot be used: {error}.", where=f"rule {data.id}", hint=HINT) from None
