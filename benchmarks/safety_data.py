"""What the guardrails are measured on: this project's own sentences, and the public sets beside the checkout."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

SENTENCES = Path(__file__).parent / "sentences"
RESEARCH_LEARNED = 500
"""PubMedQA questions that the classifier of harmful requests learned as harmless."""
SHARED = Path(__file__).parents[2] / "shared" / "data"


def sentences(name: str) -> list[str]:
    """The lines of one of the project's own lists (`emergencies`, `ordinary`, `requests`)."""
    lines = (SENTENCES / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and line[0] not in "#["]


def groups(name: str) -> dict[str, list[str]]:
    """A list's sentences by the `[group]` they stand under."""
    found: dict[str, list[str]] = {}
    for line in (SENTENCES / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            group = found.setdefault(line.strip("[] "), [])
        elif line.strip() and line[0] != "#":
            group.append(line.strip())
    return found


def written(name: str) -> list[str]:
    """The half of a list that rules were written and weights learned with."""
    return [sentence for sentence in sentences(name) if not is_held_back(sentence)]


def is_held_back(sentence: str) -> bool:
    """Whether a sentence belongs to the half that rules were not written with."""
    return _digest(sentence) % 2 == 1


def med_safety(*, test: bool) -> list[str]:
    """Harmful requests of MedSafetyBench: 7 of 10 to learn from, 3 to measure on, by their digest."""
    return [text for text in read_shared("med_safety", "request") if (_digest(text) % 10 < 3) == test]


def research_questions(*, learned: bool) -> list[str]:
    """PubMedQA's questions: the half that weights were learned with, or the other one."""
    questions = read_shared("pubmedqa_labeled", "question")
    return questions[:RESEARCH_LEARNED] if learned else questions[RESEARCH_LEARNED:]


def read_shared(name: str, field: str, **where: str) -> list[str]:
    """One field of a public set, without repeats, in the order of the texts' digests."""
    with gzip.open(SHARED / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    chosen = {record[field] for record in records if all(record.get(key) == value for key, value in where.items())}
    return sorted(chosen, key=_digest)


def _digest(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)
