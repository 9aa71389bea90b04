"""What the chat's guardrails notice in public sets of sentences. They need no model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from engine.benchmark.public_data import evenly, read_public
from engine.benchmark.results import Safety, SafetyFigure
from engine.benchmark.suite import Item, Measuring, Subject, Tick
from engine.chat_messages import ChatTurn
from engine.safety.guardrails import check_question

MOST = 400
STEP = 20
SENTENCE_WORK = 5.0
HARMFUL = "harmful requests (MedSafetyBench, the part no rule was made with)"
OVERDOSE = "emergency and overdose questions (MedQuAD)"
ORDINARY = "ordinary questions (MedQuAD, the part nothing was learned from)"
UNLEARNED = 2000
"""So many, by their digest: the classifiers learned from later ones that they are harmless."""


def items(subject: Subject) -> list[Item]:
    """See `measure`."""
    return [Item(name, MOST * SENTENCE_WORK) for name in (HARMFUL, OVERDOSE, ORDINARY)]


def measure(subject: Subject) -> Measuring[Safety]:
    """Count what is noticed in each set. Raises NotMeasured when the sets are not there."""
    folder = subject.request.public_data
    sets = (
        (HARMFUL, [text for text in _texts(folder, "med_safety", "request") if _held_back(text)], True),
        (OVERDOSE, [text for text in _texts(folder, "medquad_emergency", "text") if "overdose" in text.lower()], True),
        (ORDINARY, sorted(_texts(folder, "medquad", "question"), key=_digest)[:UNLEARNED], False),
    )
    figures = []
    for name, sentences, dangerous in sets:
        figures.append((yield from _counted(name, evenly(sentences, MOST), dangerous)))
    return Safety(figures=tuple(figures))


def _counted(name: str, sentences: Sequence[str], dangerous: bool) -> Measuring[SafetyFigure]:
    noticed = 0
    for number, sentence in enumerate(sentences, start=1):
        findings = check_question([ChatTurn(role="user", text=sentence)])
        noticed += any(finding.rule.data.layer in ("triage", "refusal") for finding in findings)
        if number % STEP == 0:
            yield Tick(name, number / len(sentences))
    return SafetyFigure(name=name, sentences=len(sentences), noticed=noticed, dangerous=dangerous)


def _texts(folder: str, name: str, field: str) -> list[str]:
    texts = read_public(folder, name, lambda record: str(record.get(field) or ""))
    return list(dict.fromkeys(filter(None, texts)))


def _held_back(text: str) -> bool:
    """Three of ten harmful requests, by their digest: neither rules nor classifier were made with them."""
    return _digest(text) % 10 < 3


def _digest(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)
