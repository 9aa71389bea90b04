"""What is looked at in a question before any model: emergencies and crises, requests to refuse, attempts to give orders.

Needs no model and takes a few milliseconds. The rules are in `engine/safety/data`; emergencies and harmful
requests that no rule names are left to two small linear models (`engine.safety.urgency`, `engine.safety.intent`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.chat_messages import ChatTurn, GuardAction, Layer
from engine.safety import intent, rules, text, urgency
from engine.safety.rules import Excuse, Rule

MAX_CHARACTERS = 8_000
"""Longer texts are looked at in their first and last half of this."""


@dataclass(frozen=True)
class Finding:
    """A rule that applies."""

    rule: Rule
    matched: str
    """The words it found, in plain form."""

    @property
    def action(self) -> GuardAction:
        """What follows from it."""
        return self.rule.data.action

    @property
    def message(self) -> str:
        """What the reader is told."""
        return self.rule.message


def check_question(turns: Sequence[ChatTurn]) -> list[Finding]:
    """What applies to a conversation's last question, most urgent first; at most one finding per layer.

    Earlier questions were looked at when they were asked. A system text of the person's own is looked at for requests to refuse.
    """
    question = turns[-1].text
    findings = [triage(question)]
    if findings[0] is None or findings[0].action != "answered":
        system = [turn.text for turn in turns[:-1] if turn.role == "system"]
        findings += [refusal("\n".join([*system, question])), _first("injection", Message(question))]
    return [finding for finding in findings if finding is not None]


def triage(question: str) -> Finding | None:
    """An emergency, a crisis, or a question whether to seek care."""
    message = Message(question)
    found = _first("triage", message)
    if (found is None or found.action != "answered") and not _named(message):
        urgent = urgency.urgency(telling(message)) > urgency.THRESHOLD
        found = Finding(rules.load().named("urgent-words"), matched="") if urgent else found
    return found


def _named(message: Message) -> bool:
    """Whether a rule for emergencies names something in the message, if only to excuse it: then it has the last word."""
    stating = [rule for rule in rules.load().of("triage") if rule.data.action == "answered" and not rule.with_]
    return any(pattern.search(sentence) for rule in stating for pattern in rule.any for sentence in message.sentences)


def telling(message: Message) -> list[str]:
    """The sentences that tell of somebody now: no past, no fiction, no general knowledge."""
    excuses = rules.load().excuses
    if any(_any(excuses["fiction"], sentence) for sentence in message.sentences):
        return []
    return [
        sentence
        for sentence in message.sentences
        if not (_any(excuses["general"], sentence) and not _any(excuses["personal"], sentence))
        and not (_any(excuses["past"], sentence) and not _any(excuses["present"], sentence))
    ]


def refusal(question: str) -> Finding | None:
    """A request that no answer should be given to."""
    found = _first("refusal", Message(question))
    if found is None and intent.harmfulness(question) > intent.THRESHOLD:
        return Finding(rules.load().named("harmful-intent"), matched="")
    return found


class Message:
    """A text in the form that rules read."""

    def __init__(self, original: str) -> None:
        if len(original) > MAX_CHARACTERS:
            half = MAX_CHARACTERS // 2
            original = original[:half] + "\n" + original[-half:]
        self.sentences = text.sentences(text.plain(original))


def _first(layer: Layer, message: Message) -> Finding | None:
    found = (Finding(rule, words) for rule in rules.load().of(layer) if (words := matched(rule, message)))
    return next(found, None)


def matched(rule: Rule, message: Message) -> str:
    """The words by which a rule applies to a message; empty when it does not."""
    if rule.with_ and not any(True for _ in _unexcused(rule.with_, message, ("negated", "past"))):
        return ""
    excuses: tuple[Excuse, ...] = ("negated", "past", "general", "fiction")
    counting = tuple(excuse for excuse in excuses if excuse not in rule.data.despite)
    for sentence, found in _unexcused(rule.any, message, counting):
        if not any(pattern.search(sentence) for pattern in rule.unless):
            return found[0]
    return ""


def _unexcused(
    patterns: Sequence[re.Pattern[str]], message: Message, excuses: Sequence[Excuse]
) -> Iterator[tuple[str, re.Match[str]]]:
    for sentence in message.sentences:
        for pattern in patterns:
            for found in pattern.finditer(sentence):
                if not any(_excused(excuse, sentence, found, message) for excuse in excuses):
                    yield sentence, found


def _excused(excuse: Excuse, sentence: str, found: re.Match[str], message: Message) -> bool:
    patterns = rules.load().excuses
    match excuse:
        case "negated":
            return any(pattern.search(sentence[: found.start()]) for pattern in patterns["negated"])
        case "past":
            around = text.clause(sentence, found.start(), found.end())
            return _any(patterns["past"], around) and not _any(patterns["present"], around)
        case "general":
            return _any(patterns["general"], sentence) and not _any(patterns["personal"], sentence)
        case "fiction":
            return any(_any(patterns["fiction"], one) for one in message.sentences)


def _any(patterns: Sequence[re.Pattern[str]], sentence: str) -> bool:
    return any(pattern.search(sentence) for pattern in patterns)
