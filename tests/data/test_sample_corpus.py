"""The sample corpus is what its README says: original, deduplicated, split by topic, and without templated filler."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from engine import locations
from engine.data.pairs import FIELDS, SPLITS, Pair
from engine.data.partition import list_hospitals, read_partition

HOSPITALS = ("A", "B", "C")
FILLER_WORDS = 8


@pytest.fixture(scope="module")
def corpus() -> dict[str, list[Pair]]:
    folder = locations.sample_folder()
    return {hospital: read_partition(folder, hospital) for hospital in HOSPITALS}


@pytest.fixture(scope="module")
def pairs(corpus: dict[str, list[Pair]]) -> list[Pair]:
    return [pair for hospital in HOSPITALS for pair in corpus[hospital]]


def test_three_hospitals() -> None:
    assert list_hospitals(locations.sample_folder()) == HOSPITALS


def test_every_line_has_exactly_the_seven_fields_filled_in() -> None:
    for hospital in HOSPITALS:
        for line in _file(hospital).read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            assert tuple(record) == FIELDS
            assert all(isinstance(value, str) and value == value.strip() and value for value in record.values()), record["id"]
            assert record["hospital"] == hospital


def test_size_and_proportions(corpus: dict[str, list[Pair]], pairs: list[Pair]) -> None:
    shares = {hospital: len(corpus[hospital]) / len(pairs) for hospital in HOSPITALS}

    assert len(pairs) >= 450
    assert len({pair.topic for pair in pairs}) >= 110
    assert shares == pytest.approx({"A": 0.45, "B": 0.25, "C": 0.30}, abs=0.01)


@pytest.mark.parametrize("field", ["id", "question", "answer"])
def test_nothing_appears_twice(pairs: list[Pair], field: str) -> None:
    counts = Counter(" ".join(getattr(pair, field).lower().split()) for pair in pairs)

    assert [value for value, count in counts.items() if count > 1] == []


def test_a_topic_stays_in_one_hospital_and_one_split(pairs: list[Pair]) -> None:
    homes: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for pair in pairs:
        homes[pair.topic.lower()].add((pair.hospital, pair.split))

    assert [topic for topic, places in homes.items() if len(places) > 1] == []


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_splits_follow_the_hash_of_the_topic(corpus: dict[str, list[Pair]], hospital: str) -> None:
    topics = sorted(
        {pair.topic for pair in corpus[hospital]}, key=lambda topic: hashlib.sha256(f"split:{topic}".encode()).hexdigest()
    )
    held_out = round(0.14 * len(topics))
    places = ["test"] * held_out + ["validation"] * held_out + ["train"] * (len(topics) - 2 * held_out)
    expected = dict(zip(topics, places, strict=True))

    assert {pair.topic: pair.split for pair in corpus[hospital]} == expected
    assert set(expected.values()) == set(SPLITS)


def test_questions_and_answers_are_of_readable_length(pairs: list[Pair]) -> None:
    for pair in pairs:
        assert 4 <= len(pair.question.split()) <= 30, pair.id
        assert pair.question.endswith(("?", ".")), pair.id
        assert 40 <= len(pair.answer.split()) <= 120, pair.id


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_no_templated_filler(corpus: dict[str, list[Pair]], hospital: str) -> None:
    """No run of eight words comes back in more than two answers of a hospital."""
    answers_with: Counter[tuple[str, ...]] = Counter()
    for pair in corpus[hospital]:
        words = pair.answer.lower().split()
        answers_with.update({tuple(words[at : at + FILLER_WORDS]) for at in range(len(words) - FILLER_WORDS + 1)})

    assert [" ".join(run) for run, count in answers_with.items() if count > 2] == []


def test_the_readme_says_it_is_not_medical_advice_and_counts_right(corpus: dict[str, list[Pair]]) -> None:
    readme = (locations.sample_folder() / "README.md").read_text(encoding="utf-8")

    assert "Not medical advice" in readme
    for hospital in HOSPITALS:
        splits = Counter(pair.split for pair in corpus[hospital])
        row = next(line for line in readme.splitlines() if line.startswith(f"| `hospital_{hospital}.jsonl`"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        topics = len({pair.topic for pair in corpus[hospital]})
        expected = [len(corpus[hospital]), topics, splits["train"], splits["validation"], splits["test"]]
        assert [int(cell) for cell in cells[-5:]] == expected


def _file(hospital: str) -> Path:
    return locations.sample_folder() / f"hospital_{hospital}.jsonl"
