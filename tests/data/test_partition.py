"""Reading partitions: what a folder holds, and one clear sentence for everything that can be wrong with a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.data import store
from engine.data.partition import describe, list_hospitals, read_partition
from engine.errors import DataError
from engine.jobs.reach import reach
from engine.settings import load_config
from tests.data.helpers import rows, run_import, write_jsonl

TRAIN = {"question": "Why?", "answer": "Because.", "topic": "one", "split": "train"}
VALIDATION = {**TRAIN, "topic": "two", "split": "validation"}


def _hospital(folder: Path, *lines: str) -> Path:
    path = folder / "hospital_A.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_hospitals_are_named_by_their_files_and_sorted(tmp_path: Path) -> None:
    for name in ("hospital_B.jsonl", "hospital_A.jsonl", "notes.txt", "hospital_.jsonl", "other.jsonl"):
        (tmp_path / name).write_text("{}")

    assert list_hospitals(tmp_path) == ("A", "B")


def test_a_partition_keeps_the_order_of_its_file(tmp_path: Path) -> None:
    _hospital(tmp_path, json.dumps(TRAIN), "", json.dumps(VALIDATION))

    pairs = read_partition(tmp_path, "A")

    assert [(pair.topic, pair.split, pair.hospital) for pair in pairs] == [("one", "train", "A"), ("two", "validation", "A")]


BAD_FILES = {
    "malformed JSON": ((json.dumps(TRAIN), "{oops"), "line 2", "not valid JSON"),
    "no object": (("[1, 2]",), "line 1", "not a pair"),
    "no answer": ((json.dumps({"question": "Why?"}),), "line 1", "no field 'answer'"),
    "blank question": ((json.dumps({**TRAIN, "question": "  "}),), "line 1", "question is empty"),
    "wrong field name": (
        (json.dumps({"prompt": "Why?", "answer": "So."}),),
        "line 1",
        "no field 'question'; its fields are 'prompt'",
    ),
    "answer that is no text": ((json.dumps({**TRAIN, "answer": 7}),), "line 1", "'answer' is not text"),
    "unknown split": ((json.dumps({**TRAIN, "split": "exam"}),), "line 1", "'split' names no split"),
    "empty file": (("",), "hospital_A.jsonl", "no pairs"),
    "no validation pairs": ((json.dumps(TRAIN),), "hospital_A.jsonl", "no validation pairs"),
    "no training pairs": ((json.dumps(VALIDATION),), "hospital_A.jsonl", "no train pairs"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, case: str) -> None:
    lines, where, what = BAD_FILES[case]
    _hospital(tmp_path, *lines)

    with pytest.raises(DataError) as caught:
        read_partition(tmp_path, "A")

    assert where in caught.value.where
    assert what in caught.value.message
    assert caught.value.hint


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "hospital_A.jsonl").write_bytes(json.dumps(TRAIN).encode() + b'\n{"question": "\xff\xfe"}\n')

    with pytest.raises(DataError, match=r"line 2: is not UTF-8"):
        read_partition(tmp_path, "A")


def test_an_unknown_hospital_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    _hospital(tmp_path, json.dumps(TRAIN), json.dumps(VALIDATION))

    with pytest.raises(DataError, match=r"no hospital 'Z'.*It holds: A\."):
        read_partition(tmp_path, "Z")


@pytest.mark.parametrize("missing", ["nowhere", "empty"])
def test_a_folder_without_hospitals_says_how_to_get_some(tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(DataError, match="data import"):
        list_hospitals(tmp_path / missing)


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    path = _hospital(tmp_path, json.dumps(TRAIN))

    with pytest.raises(DataError, match="is a file"):
        list_hospitals(path)


@pytest.mark.parametrize("names", [("A", "base"), ("A", "a")])
def test_a_folder_of_hospitals_that_a_run_could_not_tell_apart(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        write_jsonl(tmp_path / f"hospital_{name}.jsonl", [TRAIN, VALIDATION])

    with pytest.raises(DataError, match=f"'{names[1]}'.*a name of its own"):
        list_hospitals(tmp_path)


@pytest.mark.parametrize("read", [list_hospitals, lambda folder: read_partition(folder, "A")])
def test_a_hospital_of_which_there_are_two_is_refused_not_chosen(home: Path, read: Callable[[Path], object]) -> None:
    run_import(write_jsonl(home / "pairs.jsonl", rows(40)))
    processed = home / "data" / "processed"
    _hospital(processed, json.dumps(TRAIN), json.dumps(VALIDATION))

    with pytest.raises(DataError, match=r"holds both hospital_A and hospital_A\.jsonl.*Move one of them away"):
        read(processed)


def test_a_run_refuses_such_hospitals_where_the_settings_name_them(home: Path) -> None:
    for name in ("A", "base"):
        write_jsonl(home / f"hospital_{name}.jsonl", [TRAIN, VALIDATION])

    with pytest.raises(DataError, match="'base' cannot name a hospital"):
        reach(load_config(overrides={"data.folder": str(home), "data.hospitals": ["A", "base"]}))


def test_an_imported_file_that_was_changed_is_refused(home: Path) -> None:
    run_import(write_jsonl(home / "pairs.jsonl", rows(40)))
    parquet = home / "data" / "processed" / "hospital_A" / store.PAIRS_FILE
    parquet.write_bytes(parquet.read_bytes() + b" ")

    with pytest.raises(DataError, match="not the file its manifest describes"):
        read_partition(home / "data" / "processed", "A")


def test_a_manifest_of_a_later_version_is_refused(home: Path) -> None:
    run_import(write_jsonl(home / "pairs.jsonl", rows(40)))
    manifest = home / "data" / "processed" / "hospital_A" / store.MANIFEST_FILE
    manifest.write_text(manifest.read_text().replace('"schema_version": 1', '"schema_version": 2'))

    with pytest.raises(DataError, match="schema version 2"):
        read_partition(home / "data" / "processed", "A")


def test_a_description_counts_splits_topics_and_lengths(tmp_path: Path) -> None:
    long = {**TRAIN, "topic": "One", "answer": " ".join(["word"] * 45)}
    write_jsonl(tmp_path / "hospital_A.jsonl", [TRAIN, long, VALIDATION])

    described = next(describe("job", tmp_path, examples=1))

    assert (described.train, described.validation, described.test) == (2, 1, 0)
    assert described.topics == 2  # "one" and "One" are the same topic
    assert len(described.answer_lengths) == 10 and described.answer_lengths[-1] == 1  # 45 to 49 words
    assert sum(described.answer_lengths) == 3
    assert [example.question for example in described.examples] == ["Why?"]
