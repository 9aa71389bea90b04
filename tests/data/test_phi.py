"""Identifying text is found, counted, shown masked and replaced; medical text is left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.data.phi import detector as detector_module
from engine.data.phi.detector import MODEL, Detector
from engine.data.phi.recognizers import KINDS
from engine.data.phi.scan import mask, scan
from engine.protocol import PhiScanned, ScanPhi
from tests.data.helpers import ANSWER, last, rows, run_import, write_jsonl
from tests.data.notes import Note, Score, load_notes, score


@pytest.fixture(scope="module")
def notes() -> list[Note]:
    return load_notes()


@pytest.fixture(scope="module")
def scores(notes: list[Note]) -> dict[str, Score]:
    pytest.importorskip(MODEL, reason=f"the optional name model {MODEL} is not installed (extra `phi`)")
    return score([note for note in notes if note.situation % 2 == 0])  # the half nobody looked at


@pytest.fixture
def no_name_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation without the `phi` extra."""
    monkeypatch.setattr(detector_module, "MODEL", "no_such_model")
    detector_module._language.cache_clear()
    yield
    detector_module._language.cache_clear()


def _found(text: str) -> list[tuple[str, str]]:
    (findings,) = Detector([text]).find([text])
    return [(one.kind, text[one.start : one.end]) for one in findings]


def test_there_are_at_least_300_notes_of_every_kind(notes: list[Note]) -> None:
    kinds = Counter(kind for note in notes for _, _, kind in note.spans)

    assert len({note.text for note in notes}) >= 300
    assert set(kinds) == set(KINDS) - {"ACCOUNT_NUMBER", "INSURANCE_NUMBER"}
    assert sum(not note.spans for note in notes) >= 30


@pytest.mark.parametrize(
    "kind", ["PERSON", "PHONE", "EMAIL", "ADDRESS", "MRN", "NHS_NUMBER", "SSN", "HOSPITAL", "PLACE", "DATE_OF_BIRTH"]
)
def test_recall_and_precision_on_notes_nobody_looked_at(scores: dict[str, Score], kind: str) -> None:
    least_recall = 0.7 if kind == "DATE_OF_BIRTH" else 0.9  # a date without a word that says what it is stays

    assert scores[kind].recall >= least_recall, scores[kind].missed
    assert scores[kind].precision >= 0.8


EXAMPLES = {
    "MRN 00481516 was opened": [("MRN", "00481516")],
    "NHS number: 943 476 5919.": [("NHS_NUMBER", "943 476 5919")],
    "NHS no 9434765910, a digit was mistyped": [("NHS_NUMBER", "9434765910")],
    "SSN 219-44-9871": [("SSN", "219-44-9871")],
    "born on the 3rd of March 1984": [("DATE_OF_BIRTH", "3rd of March 1984")],
    "D.O.B.: 1984-03-12": [("DATE_OF_BIRTH", "1984-03-12")],
    "Write to jane.roe@example.co.uk or call (415) 555-0132": [("EMAIL", "jane.roe@example.co.uk"), ("PHONE", "(415) 555-0132")],
    "She lives at 27 Queen's Road, Bristol BS8 1QE": [("ADDRESS", "27 Queen's Road, Bristol BS8 1QE")],
    "Refer to Dr. A. Okafor": [("PERSON", "Dr. A. Okafor")],
    "card 4111 1111 1111 1111": [("ACCOUNT_NUMBER", "4111 1111 1111 1111")],
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_each_kind_by_example(text: str) -> None:
    assert _found(text) == EXAMPLES[text]


@pytest.mark.parametrize(
    "text",
    [
        "Parkinson's disease and Marfan syndrome are not people.",
        "Give 1000 mg twice daily, then 500 mg, at most 4000 mg in 24 hours.",
        "In 2019 about 463 million adults had diabetes, on page 128.",
        "Seen on 12/03/2024 with a pressure of 128/76 and a pulse of 72.",
        "Call your doctor. The nurse will help you.",
    ],
)
def test_medical_text_is_left_alone(text: str) -> None:
    assert _found(text) == []


def test_a_word_that_is_common_in_the_data_is_no_name() -> None:
    text = "Glucagon helped."

    (findings,) = Detector([text, "A syringe with glucagon.", "Duchenne"], topics=["Duchenne muscular dystrophy"]).find([text])

    assert findings == []


def test_masks_show_first_letters_only() -> None:
    assert mask("Jane O'Neill") == "J••• O'N••••"
    assert mask("943 476 5919") == "••• ••• ••••"
    assert mask("jane@example.org") == "j•••@e••••••.o••"


def test_a_scan_counts_by_kind_and_shows_nothing_in_clear(home: Path) -> None:
    answer = f"{ANSWER} Ask Dr. Okafor, 020 7946 0958."
    run_import(write_jsonl(home / "pairs.jsonl", rows(30) + rows(10, answer=answer)))

    scanned = last(scan(ScanPhi(job="scan", folder="data/processed")), PhiScanned)

    assert (scanned.pairs, scanned.affected) == (40, 10)
    assert scanned.findings == {"PERSON": 10, "PHONE": 10}
    assert {(one.kind, one.masked) for one in scanned.examples} == {("PERSON", "D•. O•••••"), ("PHONE", "••• •••• ••••")}
    assert scanned.examples[0].field == "answer"


def test_without_the_name_model_the_patterns_still_work_and_the_scan_says_so(home: Path, no_name_model: None) -> None:
    answer = f"{ANSWER} Mrs. Okafor was born on 12/03/1984."
    run_import(write_jsonl(home / "pairs.jsonl", rows(40, answer=answer)))

    scanned = last(scan(ScanPhi(job="scan", folder="data/processed")), PhiScanned)

    assert scanned.names is False
    assert scanned.findings == {"PERSON": 40, "DATE_OF_BIRTH": 40}


def test_the_sample_corpus_has_few_false_findings() -> None:
    scanned = [event for event in scan(ScanPhi(job="scan", hospital="C")) if isinstance(event, PhiScanned)]

    assert sum(one.affected for one in scanned) <= 5
