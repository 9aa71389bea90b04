"""Recall and precision of the PHI scan, by kind, on the marked synthetic notes; and its findings on public medical text.

    python -m benchmarks.phi [--medquad PAIRS]

Odd situations were looked at while the recognisers were made, even ones were not: the second table is the honest one. On MedQuAD,
which holds no patients, everything reported is an institution's number, a public person, or wrong.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from engine.data.phi import detector as detector_module
from engine.data.phi.detector import Detector
from tests.data.notes import Note, load_notes, score

MEDQUAD = Path(__file__).parents[2] / "shared" / "data" / "medquad.jsonl.gz"


def print_scores(title: str, notes: Sequence[Note]) -> None:
    """One table."""
    started = time.monotonic()
    scores = score(notes)
    print(f"\n{title}: {len(notes)} notes, {time.monotonic() - started:.1f} s")
    print(f"  {'kind':16} {'marked':>6} {'recall':>7} {'precision':>9}")
    for kind, one in scores.items():
        print(f"  {kind:16} {one.marked:6} {one.recall:7.3f} {one.precision:9.3f}")
    found, marked = sum(one.found for one in scores.values()), sum(one.marked for one in scores.values())
    right, wrong = sum(one.right for one in scores.values()), sum(one.wrong for one in scores.values())
    print(f"  {'all':16} {marked:6} {found / marked:7.3f} {right / (right + wrong):9.3f}")


def print_false_findings(path: Path, count: int) -> None:
    """How much is reported in public text, by kind."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    chosen = records[:: max(1, len(records) // count)][:count]
    texts = [f"{one['question']}\n{one['answer']}" for one in records]
    detector = Detector(texts, (one["focus"] for one in records))
    started = time.monotonic()
    counts: Counter[str] = Counter()
    for findings in detector.find(f"{one['question']}\n{one['answer']}" for one in chosen):
        counts.update(one.kind for one in findings)
    words = sum(len(one["answer"].split()) for one in chosen)
    seconds = time.monotonic() - started
    print(f"\nMedQuAD: {len(chosen):,} pairs, {words / seconds:,.0f} words a second, load {os.getloadavg()[0]:.1f}")
    print("  findings per 100 pairs: " + ", ".join(f"{kind} {100 * n / len(chosen):.1f}" for kind, n in counts.most_common()))


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--medquad", type=int, default=1000, help="pairs of MedQuAD to scan; 0 for none")
    arguments = parser.parse_args()
    notes = load_notes()
    print_scores("Situations looked at", [note for note in notes if note.situation % 2 == 1])
    print_scores("Situations not looked at", [note for note in notes if note.situation % 2 == 0])
    if arguments.medquad and MEDQUAD.is_file():
        print_false_findings(MEDQUAD, arguments.medquad)
    detector_module.MODEL = "not_installed"
    detector_module._language.cache_clear()
    print_scores("Situations not looked at, without the name model", [note for note in notes if note.situation % 2 == 0])


if __name__ == "__main__":
    main()
