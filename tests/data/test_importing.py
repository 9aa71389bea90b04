"""Importing: the reference data to the letter, bad rows set aside, and nothing lost when it fails."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

from engine.data import store
from engine.data.importing import import_data, partition_data
from engine.data.pairs import Pair
from engine.data.partition import list_hospitals, read_partition
from engine.errors import DataError
from engine.protocol import REFERENCE_SIZES, ImportData, ImportFinished, PartitionData, PartitionDescribed, RejectsFound
from tests.data.helpers import ANSWER, events, imported, last, rows, run_import, write_csv, write_jsonl

# --- the reference -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def reference(shared_data: Path) -> list[tuple[str, ...]]:
    """The public selection that our own import of the archive must agree with, pair for pair."""
    with gzip.open(shared_data / "medquad.jsonl.gz", "rt", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    splits = {"train": "train", "val": "validation", "test": "test"}
    by_hospital = sorted(records, key=lambda record: record["silo"])
    return [
        (one["silo"], one["id"], one["question"], one["answer"], one["focus"], one["qtype"], splits[one["split"]])
        for one in by_hospital
    ]


def _as_tuple(pair: Pair) -> tuple[str, ...]:
    return pair.hospital, pair.id, pair.question, pair.answer, pair.topic, pair.kind, pair.split


def test_json_lines_with_a_hospital_field_give_the_reference_sizes(
    home: Path, shared_data: Path, reference: list[tuple[str, ...]]
) -> None:
    command = ImportData(job="import", source=str(shared_data / "medquad.jsonl.gz"), hospital_field="silo")

    said = events(import_data(command))

    described = {event.hospital: event for event in said if isinstance(event, PartitionDescribed)}
    sizes = {name: one.train + one.validation + one.test for name, one in described.items()}
    assert sizes == REFERENCE_SIZES
    assert [_as_tuple(pair) for pair in imported()] == reference


def test_the_medquad_archive_agrees_with_the_reference_pair_for_pair(
    home: Path, shared_data: Path, reference: list[tuple[str, ...]]
) -> None:
    source = shared_data / "MedQuAD-577bd37.tar.gz"

    finished = last(import_data(ImportData(job="import", source=str(source), sizes=REFERENCE_SIZES)), ImportFinished)

    assert [_as_tuple(pair) for pair in imported()] == reference
    assert finished.dropped == {
        "empty answer": 31_034,
        "exact duplicate": 48,
        "answer under 6 words": 9,
        "phenotype table": 2_243,
        "list of links": 1_085,
        "table of contents": 10,
    }
    assert finished.rejected == 4  # four documents of an older form
    assert "CC BY 4.0" in store.read_manifest(home / "data" / "processed" / "hospital_A").licence


# --- which hospital ------------------------------------------------------------------------------------------------------------


def test_hospitals_come_from_a_field_whose_name_says_so(home: Path) -> None:
    records = [{**row, "Clinic": ("St. Mary's", "Nord")[at % 2]} for at, row in enumerate(rows(60))]

    run_import(write_csv(home / "pairs.csv", records), hospital="")

    assert list_hospitals(home / "data" / "processed") == ("Nord", "St.-Marys")


def test_without_such_a_field_the_error_names_three_ways_out(home: Path) -> None:
    with pytest.raises(DataError, match=r"--hospital-field.*--hospital,.*data partition"):
        run_import(write_csv(home / "pairs.csv", rows(30)), hospital="")


def test_a_field_with_too_many_values_is_no_hospital(home: Path) -> None:
    command = ImportData(job="import", source=str(write_csv(home / "pairs.csv", rows(1200))), hospital_field="topic")

    with pytest.raises(DataError, match="1,200 different values"):
        events(import_data(command))


def test_two_hospitals_that_would_share_a_folder_are_refused(home: Path) -> None:
    records = [{**row, "clinic": ("Nord Ost", "Nord/Ost")[at % 2]} for at, row in enumerate(rows(40))]

    with pytest.raises(DataError, match="two hospitals would be called 'Nord-Ost'"):
        run_import(write_csv(home / "pairs.csv", records), hospital="")


def test_hospitals_that_differ_only_in_case_are_refused(home: Path) -> None:
    records = [{**row, "clinic": ("Nord", "nord")[at % 2]} for at, row in enumerate(rows(40))]

    with pytest.raises(DataError, match="'Nord' and 'nord' differ only in upper and lower case"):
        run_import(write_csv(home / "pairs.csv", records), hospital="")


def test_the_name_of_an_adapter_that_is_no_hospital_s_is_refused_on_every_way_in(home: Path) -> None:
    source = str(write_csv(home / "pairs.csv", [{**row, "clinic": "global"} for row in rows(40)]))
    ways = (
        lambda: import_data(ImportData(job="import", source=source, hospital="Global")),
        lambda: import_data(ImportData(job="import", source=source, hospital_field="clinic")),
        lambda: partition_data(PartitionData(job="partition", source=source, names=("A", "global"))),
    )

    for way in ways:
        with pytest.raises(DataError, match="lobal' cannot name a hospital"):
            events(way())
    assert not (home / "data").exists()


def test_sizes_keep_whole_topics_in_the_order_of_their_hash(home: Path) -> None:
    records = [{**row, "topic": f"topic {at // 4}", "hospital": "A"} for at, row in enumerate(rows(80))]
    command = ImportData(job="import", source=str(write_jsonl(home / "pairs.jsonl", records)), sizes={"A": 41})

    events(import_data(command))

    kept = [pair.topic for pair in imported()]
    assert len(kept) == 41
    assert sum(kept.count(topic) == 4 for topic in set(kept)) == 10  # ten whole topics and one pair of the eleventh


def test_more_than_there_is_cannot_be_asked_for(home: Path) -> None:
    records = write_jsonl(home / "pairs.jsonl", rows(30, hospital="A"))

    with pytest.raises(DataError, match="has 30 usable pairs, 31 were asked for"):
        events(import_data(ImportData(job="import", source=str(records), sizes={"A": 31})))


# --- bad rows ------------------------------------------------------------------------------------------------------------------


def _with_bad_rows(path: Path, bad: int, total: int = 100) -> Path:
    records = rows(total)
    for at in range(bad):
        records[at * 3]["answer"] = ""
    return write_jsonl(path, records)


def test_a_few_bad_rows_are_listed_and_the_rest_imported(home: Path) -> None:
    finished = run_import(_with_bad_rows(home / "pairs.jsonl", bad=5))

    assert (finished.kept, finished.rejected) == (95, 5)
    lines = (home / "data" / "processed" / store.REJECTS_FILE).read_text().splitlines()
    assert json.loads(lines[1]) == {"line": 4, "field": "answer", "reason": "the answer is empty"}


def test_more_than_five_percent_stop_the_import_and_are_listed_beside_the_target(home: Path) -> None:
    run_import(write_jsonl(home / "good.jsonl", rows(40)))
    before = imported()
    command = ImportData(job="import", source=str(_with_bad_rows(home / "pairs.jsonl", bad=6)), hospital="A")
    job = import_data(command)

    found = next(event for event in job if isinstance(event, RejectsFound))
    with pytest.raises(DataError, match=r"6 of 100 rows.*line 1: the answer is empty.*--allow-rejects"):
        next(job)

    assert (found.too_many, found.reasons) == (True, {"the answer is empty": 6})
    assert len(Path(found.file).read_text().splitlines()) == 6
    assert imported() == before


def test_rejects_can_be_allowed(home: Path) -> None:
    finished = run_import(_with_bad_rows(home / "pairs.jsonl", bad=30), allow_rejects=True)

    assert (finished.kept, finished.rejected) == (70, 30)


def test_a_source_without_one_usable_row_says_why(home: Path) -> None:
    with pytest.raises(DataError, match=r"no usable pairs.*line 1: the answer is empty"):
        run_import(_with_bad_rows(home / "pairs.jsonl", bad=1, total=1), allow_rejects=True)


# --- writing -------------------------------------------------------------------------------------------------------------------


def test_the_same_import_writes_the_same_bytes(home: Path) -> None:
    source = write_jsonl(home / "pairs.jsonl", rows(60))
    folder = home / "data" / "processed" / "hospital_A"

    run_import(source)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    run_import(source)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_a_new_import_replaces_all_hospitals_of_the_old_one(home: Path) -> None:
    run_import(write_jsonl(home / "one.jsonl", rows(40)), hospital="Old")

    run_import(write_jsonl(home / "two.jsonl", rows(40)), hospital="New")

    assert list_hospitals(home / "data" / "processed") == ("New",)


@pytest.mark.parametrize("moment", range(3))
def test_an_import_that_is_cancelled_leaves_what_was_there(home: Path, moment: int) -> None:
    run_import(write_jsonl(home / "old.jsonl", rows(40)))
    before = imported()
    job = import_data(
        ImportData(job="import", source=str(write_jsonl(home / "new.jsonl", rows(600, clinic="B") + rows(300, clinic="C"))))
    )

    for _ in range(moment + 1):
        next(job)
    job.close()  # what a cancelled job gets

    assert imported() == before
    assert [path.name for path in (home / "data").iterdir()] == ["processed"]


def test_a_kill_between_the_two_renames_is_mended_at_the_next_look(home: Path) -> None:
    run_import(write_jsonl(home / "pairs.jsonl", rows(40)))
    before = imported()
    shutil.move(home / "data" / "processed", home / "data" / ".processed.old")

    assert read_partition(home / "data" / "processed", "A") == before
    assert [path.name for path in (home / "data").iterdir()] == ["processed"]


def test_a_folder_with_other_things_in_it_is_never_replaced(home: Path) -> None:
    (home / "thesis").mkdir()
    (home / "thesis" / "chapter-1.txt").write_text("precious")
    command = ImportData(job="import", source=str(write_jsonl(home / "p.jsonl", rows(40))), hospital="A", target="thesis")

    with pytest.raises(DataError, match=r"holds other files \(chapter-1.txt\)"):
        events(import_data(command))

    assert (home / "thesis" / "chapter-1.txt").read_text() == "precious"


def test_a_full_disk_is_a_sentence_and_loses_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_import(write_jsonl(home / "old.jsonl", rows(40)))
    before = imported()

    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.pq, "write_table", no_space)
    with pytest.raises(DataError, match=r"No space left.*untouched"):
        run_import(write_jsonl(home / "new.jsonl", rows(50)))

    assert imported() == before


def test_the_manifest_says_where_the_pairs_come_from(home: Path) -> None:
    source = write_csv(home / "pairs.csv", rows(40))

    run_import(source, licence="CC0", seed=3)

    manifest = store.read_manifest(home / "data" / "processed" / "hospital_A")
    assert (manifest.source, manifest.source_kind, manifest.licence) == ("pairs.csv", "CSV, separated by comma", "CC0")
    assert manifest.source_sha256 == store.file_digest(source)
    assert sum(manifest.pairs.values()) == 40
    assert (manifest.topics, manifest.seed) == (40, 3)


def test_identifying_text_is_replaced_on_request(home: Path) -> None:
    answer = f"Call Dr. Okafor on 020 7946 0958, MRN 1234567. {ANSWER}"

    finished = run_import(write_jsonl(home / "pairs.jsonl", rows(30, answer=answer)), deidentify=True)

    assert {pair.answer for pair in imported()} == {f"Call <PERSON> on <PHONE>, MRN <MRN>. {ANSWER}"}
    assert finished.deidentified == {"PERSON": 30, "PHONE": 30, "MRN": 30}
    assert store.read_manifest(home / "data" / "processed" / "hospital_A").deidentified


def test_missing_and_repeated_ids_become_unique(home: Path) -> None:
    records = [{**row, "id": "" if at % 2 else "same"} for at, row in enumerate(rows(40))]

    run_import(write_jsonl(home / "pairs.jsonl", records))

    ids = [pair.id for pair in imported()]
    assert ids[:4] == ["same", "2", "same~2", "4"]
    assert len(set(ids)) == 40


def test_the_seed_decides_the_splits(home: Path) -> None:
    source = write_jsonl(home / "pairs.jsonl", rows(200))

    run_import(source, seed=1)
    first = [pair.split for pair in imported()]
    run_import(source, seed=2)

    assert [pair.split for pair in imported()] != first
