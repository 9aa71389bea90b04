"""How many emergencies and harmful requests the guardrails find, how many ordinary questions they stop, and how long they take.

    python -m benchmarks.safety [--list]

Half of the project's own sentences was held back from writing rules and from learning weights: that half is the honest one. The
public sets lie in `../shared/data`. `--list` prints what was missed in the other half, and every false alarm.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

from benchmarks.safety_data import groups, is_held_back, med_safety, read_shared, research_questions, sentences, written
from engine.safety import rules
from engine.safety.guardrails import Finding, refusal, triage
from engine.safety.intent import THRESHOLD, harmfulness

ORDINARY = 2000
"""Ordinary questions that are asked; those with the smallest digests."""

PRACTICE = ("practice_doses", "practice_emergencies", "practice_harmful", "practice_ordinary")


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--list", action="store_true", help="print what was missed in the written half, and every false alarm")
    listed = parser.parse_args().list
    started = time.perf_counter()
    rules.load()
    print(f"{len(rules.load().all)} rules, read in {time.perf_counter() - started:.2f} s\n")
    print(f"{'':56}{'found':>8}{'of':>7}{'share':>9}")
    print_recall(listed)
    print_fresh()
    print_false_alarms(listed)
    print_times()


def print_recall(listed: bool) -> None:
    """Emergencies and harmful requests: the more are found the better."""
    row("emergencies, held-back half", held_back_of("emergencies"), is_emergency)
    missed = row("emergencies, written half", written("emergencies"), is_emergency)
    row(
        "MedQuAD questions about an overdose",
        read_shared("medquad_emergency", "text", qtype="emergency or overdose"),
        is_emergency,
    )
    seek = read_shared("medquad_emergency", "text", qtype="when to contact a medical professional")
    row("MedQuAD questions whether to see a doctor: noted", seek, lambda text: triage(text) is not None)
    row("  of these with the emergency message", seek, is_emergency)
    harmful = med_safety(test=True)
    row("MedSafetyBench, test part: rules and classifier", harmful, lambda text: stopped(text) is not None)
    row("  rules alone", harmful, lambda text: (found := stopped(text)) is not None and found.rule.id != "harmful-intent")
    row("  classifier alone", harmful, lambda text: harmfulness(text) > THRESHOLD)
    if listed:
        print(*(f"  missed: {sentence}" for sentence in missed), sep="\n")


def print_fresh() -> None:
    """Sentences written when the rules were done, with different situations and odd wording; none was used for anything else."""
    print()
    for group, texts in groups("fresh").items():
        met = is_emergency if group in ("emergency", "overdose", "crisis") else lambda text: stopped(text) is not None
        row(f"fresh sentences: {group}{' (false alarms)' if group == 'ordinary' else ''}", texts, met)


def print_false_alarms(listed: bool) -> None:
    """Ordinary questions and harmless requests: the fewer are stopped the better."""
    print()
    alarms = []
    for name, texts in harmless().items():
        calm = row(name, texts, lambda text: stopped(text) is not None)
        alarms += [text for text in texts if text not in set(calm)]
    if listed:
        print(*(f"  false alarm: {text} ({found.rule.id})" for text in alarms if (found := stopped(text))), sep="\n")


def harmless() -> dict[str, list[str]]:
    """Sentences that nothing was learned from, by what they are."""
    return {
        f"{ORDINARY:,} ordinary MedQuAD questions stopped": read_shared("medquad", "question")[:ORDINARY],
        "ordinary questions close to emergencies, held-back half": held_back_of("ordinary"),
        "harmless requests in the manner of harmful ones, held back": held_back_of("requests"),
        "PubMedQA questions (research titles), half not learned": research_questions(learned=False),
    }


def print_times() -> None:
    """Milliseconds for everything that is done with a question before a model."""
    texts = read_shared("medquad", "question")[:200] + written("emergencies")
    spent = []
    for text in texts:
        started = time.perf_counter()
        stopped(text)
        spent.append((time.perf_counter() - started) * 1000)
    print(f"\nmilliseconds a question: median {statistics.median(spent):.1f}, longest {max(spent):.1f}")


def row(name: str, texts: Sequence[str], found: Callable[[str], bool]) -> list[str]:
    """Print how many of the texts are found; returns the others."""
    others = [text for text in texts if not found(text)]
    count = len(texts) - len(others)
    print(f"{name:56}{count:>8,}{len(texts):>7,}{count / len(texts):>9.1%}")
    return others


def stopped(question: str) -> Finding | None:
    """The finding that stands instead of an answer."""
    for finding in (triage(question), refusal(question)):
        if finding is not None and finding.action == "answered":
            return finding
    return None


def is_emergency(question: str) -> bool:
    """Whether the question gets an emergency or crisis message."""
    finding = triage(question)
    return finding is not None and finding.action == "answered"


def held_back_of(name: str) -> list[str]:
    """The half that nothing was written or learned with: without what happens to stand in a practice list too."""
    practised = {sentence for one in PRACTICE for sentence in sentences(one)}
    return [sentence for sentence in sentences(name) if is_held_back(sentence) and sentence not in practised]


if __name__ == "__main__":
    main()
