"""Copies are found within hospitals, across splits and across hospitals, and no text is needed for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine import locations
from engine.data.overlap import Matches, check_overlap, match, sketch_pairs
from engine.data.pairs import Pair
from engine.data.sketch import Sketches, load, save, sketch
from engine.errors import DataError
from engine.protocol import CheckOverlap, OverlapMeasured, SketchesWritten, SketchPairs
from tests.data.helpers import last, rows, run_import, write_jsonl
from tests.data.planted import bystanders, plant

SALT = "a salt that only the hospitals know"


def _sketch(pairs: list[Pair], salt: str = SALT) -> Sketches:
    *_, made = sketch(pairs[0].hospital, pairs, salt)
    assert isinstance(made, Sketches)
    return made


def _match(*hospitals: list[Pair], threshold: float = 0.8) -> Matches:
    *_, found = match([_sketch(pairs) for pairs in hospitals], threshold)
    assert isinstance(found, Matches)
    return found


def _pair(name: str, text: str, hospital: str = "A", split: str = "train") -> Pair:
    return Pair(id=name, question=text, answer=text, topic=name, kind="", hospital=hospital, split=split)


TEXT = "one two three four five six seven eight nine ten"


def test_case_punctuation_and_spaces_make_no_copy_different() -> None:
    found = _match([_pair("1", TEXT)], [_pair("2", TEXT.title().replace(" ", ",  "), "B")])

    assert dict(found.cells) == {("A", "B"): [1, 0], ("B", "A"): [1, 0]}


def test_planted_copies_are_found_and_only_they() -> None:
    copies, lookalikes = plant(60, 0.86, 1.0, seed=1), plant(60, 0.45, 0.72, seed=2)
    planted = [*copies, *lookalikes]

    found = _match(
        [one.original for one in planted] + bystanders(100, "A", 3), [one.copy for one in planted] + bystanders(100, "B", 4)
    )

    assert sum(found.cells["A", "B"]) == 60
    assert sum(found.cells["B", "A"]) == 60
    assert ("A", "A") not in found.cells


def test_a_lower_threshold_finds_looser_copies() -> None:
    planted = plant(40, 0.60, 0.70, seed=5)
    hospitals = [one.original for one in planted], [one.copy for one in planted]

    assert ("A", "B") not in _match(*hospitals, threshold=0.8).cells
    assert sum(_match(*hospitals, threshold=0.5).cells["A", "B"]) == 40


def test_copies_within_a_hospital_count_on_the_diagonal() -> None:
    pairs = [_pair(str(number), TEXT) for number in range(3)] + bystanders(5, "A", 6)

    found = _match(pairs)

    assert dict(found.cells) == {("A", "A"): [3, 0]}
    assert [(hospital, first, second) for hospital, first, second, _ in found.within] == [("A", 0, 1), ("A", 0, 2), ("A", 1, 2)]


def test_held_out_copies_of_training_pairs_are_leaks() -> None:
    training, test = _pair("1", TEXT), _pair("2", TEXT, split="test")
    elsewhere = _pair("3", TEXT, hospital="B")

    found = _match([training, test, *bystanders(3, "A", 7)], [elsewhere])

    assert found.leaks["A"] == [1, 1]  # among its own training pairs, and among B's
    assert found.leaks["B"] == [0, 0]


def test_two_held_out_copies_are_no_leak() -> None:
    found = _match([_pair("1", TEXT, split="test"), _pair("2", TEXT, split="validation")])

    assert found.leaks["A"] == [0, 0]


def test_thousands_of_copies_of_one_pair_are_no_trouble() -> None:
    pairs = [_pair(str(number), TEXT) for number in range(3000)]

    assert dict(_match(pairs).cells) == {("A", "A"): [3000, 0]}


def test_empty_and_tiny_texts_are_compared_too() -> None:
    found = _match([_pair("1", "Why?"), _pair("2", "?!")], [_pair("3", "why", "B")])

    assert found.cells["A", "B"] == [1, 0]


# --- what is shown to whom -----------------------------------------------------------------------------------------------------


def test_sketches_of_different_salts_are_refused_with_the_hospitals_that_differ() -> None:
    sketches = [_sketch([_pair(name, TEXT, name)], "another salt" if name == "C" else SALT) for name in "ABC"]

    with pytest.raises(DataError, match="of A, B and C were made with different salts"):
        list(match(sketches, 0.8))


def test_files_of_different_salts_are_refused(home: Path) -> None:
    files = []
    for hospital, salt in (("A", SALT), ("B", SALT + "\n")):
        files.append(str(home / f"{hospital}.sketch"))
        save(_sketch([_pair("1", TEXT, hospital)], salt), Path(files[-1]))

    with pytest.raises(DataError, match="different salts"):
        last(check_overlap(CheckOverlap(job="o", sketches=tuple(files))), OverlapMeasured)


def test_sketches_of_another_version_are_refused_in_words(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("engine.data.sketch.FORMAT", 1)
        save(_sketch([_pair("1", TEXT)]), home / "a.sketch")

    with pytest.raises(DataError, match="another version"):
        load(home / "a.sketch")


def test_without_the_salt_a_guessed_text_cannot_be_recognised() -> None:
    secret = _sketch([_pair("1", TEXT)])
    guesses = [_sketch([_pair("1", TEXT)], salt=guess) for guess in ("", "salt", SALT.upper())]

    for guess in guesses:
        assert not np.array_equal(guess.fingerprints, secret.fingerprints)
        assert (guess.signatures == secret.signatures).mean() < 0.05


def test_files_of_sketches_give_the_same_answer_as_the_folder_and_hold_no_text(home: Path) -> None:
    records = rows(40, hospital="A") + rows(10, hospital="B") + [{**row, "hospital": "B", "topic": "x"} for row in rows(30)[20:]]
    run_import(write_jsonl(home / "pairs.jsonl", records), hospital="")
    for hospital in ("A", "B"):
        command = SketchPairs(
            job="s", folder="data/processed", hospital=hospital, salt=SALT, target=str(home / f"{hospital}.sketch")
        )
        last(sketch_pairs(command), SketchesWritten)

    files = tuple(str(home / f"{hospital}.sketch") for hospital in ("A", "B"))
    by_files = last(check_overlap(CheckOverlap(job="o", sketches=files)), OverlapMeasured)
    by_folder = last(check_overlap(CheckOverlap(job="o", folder="data/processed")), OverlapMeasured)

    assert by_files.cells == by_folder.cells
    assert by_files.leaks == by_folder.leaks
    assert sum(cell.exact for cell in by_files.cells if (cell.hospital, cell.other) == ("B", "A")) == 20
    loaded = load(home / "A.sketch")
    assert len(loaded.key_check) == 16
    assert loaded.signatures.nbytes + loaded.fingerprints.nbytes == 40 * (512 * 4 + 16)
    assert b"ailment" not in (home / "A.sketch").read_bytes()


def test_sketches_need_a_salt(home: Path) -> None:
    with pytest.raises(DataError, match="need a salt"):
        last(sketch_pairs(SketchPairs(job="s", folder="sample", hospital="A", salt="", target="a")), SketchesWritten)


def test_a_file_that_holds_no_sketches(home: Path) -> None:
    path = write_jsonl(home / "pairs.jsonl", rows(3))

    with pytest.raises(DataError, match="not a file of sketches"):
        last(check_overlap(CheckOverlap(job="o", sketches=(str(path),))), OverlapMeasured)


@pytest.mark.parametrize("kind", [np.float64, np.uint16])
def test_sketches_of_another_type_of_number_are_refused(home: Path, kind: type) -> None:
    made = _sketch([_pair("1", TEXT)])
    save(replace(made, signatures=made.signatures.astype(kind)), home / "a.sketch")

    with pytest.raises(DataError, match="not a file of sketches"):
        load(home / "a.sketch")


def test_sketches_that_cannot_be_written_are_told_so(home: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        save(_sketch([_pair("1", TEXT)]), home)


def test_the_sample_corpus_has_no_copies(home: Path) -> None:
    measured = last(check_overlap(CheckOverlap(job="o")), OverlapMeasured)

    assert measured.folder == str(locations.sample_folder())
    assert measured.cells == ()
    assert sum(measured.pairs.values()) == 499


def test_one_edited_word_is_near_and_names_the_pairs(home: Path) -> None:
    records = rows(40)
    long = " ".join(f"word{number}" for number in range(80))
    records[3]["answer"], records[9]["answer"] = long, long.replace("word40", "other")
    records[9]["question"] = records[3]["question"]
    run_import(write_jsonl(home / "pairs.jsonl", [{**record, "id": f"p{at}"} for at, record in enumerate(records)]))

    measured = last(check_overlap(CheckOverlap(job="o", folder="data/processed")), OverlapMeasured)

    assert [(one.first, one.second) for one in measured.examples] == [("p3", "p9")]
    assert measured.examples[0].similarity == pytest.approx(0.93, abs=0.05)


@pytest.mark.parametrize("threshold", [0.0, 1.5])
def test_a_threshold_out_of_range(home: Path, threshold: float) -> None:
    with pytest.raises(DataError, match="no sensible similarity"):
        last(check_overlap(CheckOverlap(job="o", threshold=threshold)), OverlapMeasured)


def test_the_split_of_a_pair_is_the_only_thing_shown_beside_hashes() -> None:
    pairs = [_pair("1", TEXT), replace(_pair("2", TEXT), split="test")]

    assert list(vars(_sketch(pairs))) == ["hospital", "fingerprints", "signatures", "held_out", "key_check"]
