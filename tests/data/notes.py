"""The marked notes (`phi_notes.tsv`), and how well a detector does on them: for the tests and the benchmark of the PHI scan."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine import locations
from engine.data.partition import list_hospitals, read_partition
from engine.data.phi.detector import Detector, Finding

NOTES = Path(__file__).with_name("phi_notes.tsv")
COVERED = 0.9
"""Share of a marked span's characters that findings of its kind must cover for it to count as found."""
CORRECT = 0.5
"""Share of a finding's characters that must be marked with its kind for it to count as right."""
_MARK = re.compile(r"\[\[(\w+)\|(.*?)\]\]")


@dataclass(frozen=True)
class Note:
    """One note without its marks; spans are (start, end, kind)."""

    situation: int
    text: str
    spans: tuple[tuple[int, int, str], ...]


@dataclass
class Score:
    """Counts for one kind."""

    marked: int = 0
    found: int = 0
    right: int = 0
    wrong: int = 0
    missed: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Marked spans that were found."""
        return self.found / self.marked if self.marked else 1.0

    @property
    def precision(self) -> float:
        """Findings that were marked."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0


def load_notes() -> list[Note]:
    """All notes, in file order."""
    lines = [line for line in NOTES.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [_parse(*line.split("\t")) for line in lines]


def score(notes: Sequence[Note]) -> dict[str, Score]:
    """Run the detector over notes, with the sample corpus as the data they are part of, and count by kind."""
    detector = Detector([note.text for note in notes] + _sample_texts())
    scores: dict[str, Score] = defaultdict(Score)
    for note, findings in zip(notes, detector.find(note.text for note in notes), strict=True):
        _count(note, findings, scores)
    return dict(sorted(scores.items()))


def _count(note: Note, findings: list[Finding], scores: dict[str, Score]) -> None:
    for start, end, kind in note.spans:
        covered = sum(_overlap(start, end, one.start, one.end) for one in findings if one.kind == kind)
        scores[kind].marked += 1
        if covered >= COVERED * (end - start):
            scores[kind].found += 1
        else:
            scores[kind].missed.append(note.text[start:end])
    for one in findings:
        marked = sum(_overlap(start, end, one.start, one.end) for start, end, kind in note.spans if kind == one.kind)
        if marked >= CORRECT * (one.end - one.start):
            scores[one.kind].right += 1
        else:
            scores[one.kind].wrong += 1


def _overlap(start: int, end: int, other_start: int, other_end: int) -> int:
    return max(0, min(end, other_end) - max(start, other_start))


def _parse(situation: str, marked: str) -> Note:
    text, spans, position = "", [], 0
    for match in _MARK.finditer(marked):
        text += marked[position : match.start()]
        spans.append((len(text), len(text) + len(match.group(2)), match.group(1)))
        text += match.group(2)
        position = match.end()
    return Note(int(situation), text + marked[position:], tuple(spans))


def _sample_texts() -> list[str]:
    folder = locations.sample_folder()
    return [pair.answer for hospital in list_hospitals(folder) for pair in read_partition(folder, hospital)]
