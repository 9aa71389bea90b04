"""Data that point elsewhere, or are larger than they look: nothing outside their folder is read, nothing is taken away."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.benchmark.public_data import read_public
from engine.benchmark.suite import NotMeasured
from engine.data import sketch, store
from engine.data.overlap import check_overlap
from engine.data.partition import find_partitions, read_partition
from engine.data.reading import preview
from engine.data.sources import open_source
from engine.errors import DataError
from engine.protocol import CheckOverlap, PreviewSource, SourceOptions
from tests.data.helpers import ANSWER, imported, rows, run_import, write_csv, write_jsonl
from tests.data.test_sources import MEDQUAD_XML

SECRET = [{"question": "Whose?", "answer": "Nobody else's."}]


@pytest.fixture
def outside(home: Path) -> Path:
    """A file that is no part of the data."""
    return write_jsonl(home / "outside.jsonl", SECRET)


@pytest.fixture
def folder(home: Path) -> Path:
    """Data from somewhere."""
    (home / "folder").mkdir()
    write_jsonl(home / "folder" / "a.jsonl", rows(4))
    return home / "folder"


@pytest.mark.parametrize("place", ["..", "{home}"])
def test_a_folder_whose_readme_names_files_elsewhere_is_refused(folder: Path, outside: Path, place: str) -> None:
    files = f"{place.format(home=outside.parent)}/{outside.name}"
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files: {json.dumps(files)}\n---\n")

    with pytest.raises(DataError, match="outside its folder"):
        open_source(str(folder))


def test_a_folder_with_a_link_to_data_elsewhere_is_refused(folder: Path, outside: Path) -> None:
    (folder / "b.jsonl").symlink_to(outside)

    with pytest.raises(DataError, match="outside its folder"):
        open_source(str(folder))


def test_a_folder_of_what_may_hold_pickles_is_refused(folder: Path) -> None:
    for number in range(9):
        (folder / f"{number}.tar").write_bytes(b"\0" * 10_240)

    with pytest.raises(DataError, match=r"no tables \(webdataset\)"):
        open_source(str(folder))


@pytest.fixture
def saved(home: Path) -> Path:
    """Two data sets as the `datasets` library saves them: `mine`, and `saved`, which came from somewhere."""
    from datasets import Dataset

    for name, records in (("mine", SECRET), ("saved", rows(4))):
        Dataset.from_list(records).save_to_disk(str(home / name))
    return home / "saved"


def test_a_saved_data_set_that_names_a_file_elsewhere_is_refused(saved: Path) -> None:
    state = json.loads((saved / "state.json").read_text())
    state["_data_files"][0]["filename"] = "../mine/data-00000-of-00001.arrow"
    (saved / "state.json").write_text(json.dumps(state))

    with pytest.raises(DataError, match="outside its folder"):
        open_source(str(saved))


def test_a_saved_data_set_whose_splits_are_elsewhere_is_refused(saved: Path) -> None:
    (saved / "dataset_dict.json").write_text('{"splits": ["../mine"]}')

    with pytest.raises(DataError, match="outside its folder"):
        open_source(str(saved))


def test_places_in_a_damaged_table_are_not_believed(saved: Path) -> None:
    path = next(saved.glob("*.arrow"))
    data = path.read_bytes()
    length = len(rows(1)[0]["question"])
    offsets = np.array([0, length], np.int32).tobytes()  # of the first column's first two texts
    assert data.count(offsets) == 1
    path.write_bytes(data.replace(offsets, np.array([0, -length], np.int32).tobytes()))

    with pytest.raises(DataError, match="cannot be read"):
        open_source(str(saved))


def _two_partitions(home: Path) -> Path:
    run_import(write_jsonl(home / "pairs.jsonl", rows(40)))
    return home / "data" / "processed"


def test_text_in_a_partition_that_is_no_text_is_refused(home: Path) -> None:
    own = _two_partitions(home) / "hospital_A"
    table = pq.read_table(own / store.PAIRS_FILE)
    spoilt = pa.array([b"\xff"] * len(table)).view(pa.string())
    pq.write_table(table.set_column(1, "question", spoilt), own / store.PAIRS_FILE)
    manifest = json.loads((own / store.MANIFEST_FILE).read_text()) | {"sha256": store.file_digest(own / store.PAIRS_FILE)}
    (own / store.MANIFEST_FILE).write_text(json.dumps(manifest))

    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_partition(own.parent, "A")


@pytest.mark.parametrize("field", ["question", "kind"])
def test_half_a_character_in_a_partition_is_refused(tmp_path: Path, field: str) -> None:
    write_jsonl(tmp_path / "hospital_A.jsonl", [{"question": "Why?", "answer": "So.", field: "\ud800"}])

    with pytest.raises(DataError, match=rf"line 1: the field '{field}' holds half a character"):
        read_partition(tmp_path, "A")


def test_columns_named_in_another_encoding_are_refused(home: Path) -> None:
    path = write_csv(home / "pairs.csv", rows(4))
    path.write_bytes(path.read_bytes().replace(b"topic", b"th\xe8me", 1))

    with pytest.raises(DataError, match=r"line 1: is not text in that encoding"):
        list(preview(PreviewSource(job="1", source=str(path), options=SourceOptions())))


def test_a_pipe_is_no_partition(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hospital_A.jsonl")

    assert find_partitions(tmp_path) == {}


@pytest.mark.parametrize("target", ["../outside.xml", "/dev/zero"])
def test_links_in_a_folder_of_documents_are_not_followed(home: Path, target: str) -> None:
    (home / "MedQuAD").mkdir()
    (home / "outside.xml").write_text(MEDQUAD_XML.format(source="GARD", number=99, answer=ANSWER))
    for number in range(40):
        (home / "MedQuAD" / f"{number:03}.xml").write_text(MEDQUAD_XML.format(source="GARD", number=number, answer=ANSWER))
    (home / "MedQuAD" / "999.xml").symlink_to(target)

    run_import(home / "MedQuAD")

    assert len(imported()) == 40
    assert "Ailment 99" not in {pair.topic for pair in imported()}


def test_an_archive_for_a_later_version_of_zip_is_refused(home: Path) -> None:
    path = home / "medquad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.xml", "<x/>")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 6] = 84
    path.write_bytes(data)

    with pytest.raises(DataError, match="archive is damaged"):
        open_source(str(path))


def test_an_import_takes_no_hidden_files_away(home: Path) -> None:
    (home / "data" / "processed" / ".ssh").mkdir(parents=True)

    with pytest.raises(DataError, match=r"holds other files \(\.ssh\)"):
        run_import(write_jsonl(home / "pairs.jsonl", rows(40)))

    assert (home / "data" / "processed" / ".ssh").is_dir()


# --- sketches ------------------------------------------------------------------------------------------------------------------


def _sketches(path: Path, **changes: object) -> Path:
    arrays: dict[str, object] = {
        "format": sketch.FORMAT,
        "hospital": "A",
        "fingerprints": np.ones((2, 16), np.uint8),
        "signatures": np.ones((2, sketch.PERMUTATIONS), np.uint32),
        "held_out": np.array([False, True]),
        "key_check": np.zeros(16, np.uint8),
    }
    np.savez_compressed(path, **{name: np.array(value) for name, value in (arrays | changes).items()})  # type: ignore[arg-type]
    return path


NOBODY = np.ones(0, bool)
NO_SKETCHES: dict[str, dict[str, object]] = {
    "a hospital that leads elsewhere": {"hospital": "../x"},
    "a hospital that clears the screen": {"hospital": "A\x1b[2J"},
    "pickled objects": {"hospital": np.array([{"a": 1}], object)},
    "no pairs": {"fingerprints": np.ones((0, 16), np.uint8), "signatures": np.ones((0, 512), np.uint32), "held_out": NOBODY},
    "held-out pairs of two kinds": {"held_out": np.ones((2, 2), bool)},
    "numbers of another size": {"signatures": np.ones((2, 512), np.uint64)},
}  # fmt: skip


@pytest.mark.parametrize("case", NO_SKETCHES)
def test_what_is_no_file_of_sketches_is_refused(tmp_path: Path, case: str) -> None:
    path = _sketches(tmp_path / "a.npz", **NO_SKETCHES[case])

    with pytest.raises(DataError, match="is not a file of sketches"):
        list(check_overlap(CheckOverlap(job="1", sketches=(str(path),))))


def test_sketches_that_unpack_to_too_much_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketch, "MAX_BYTES", 4_000)
    path = _sketches(tmp_path / "a.npz")
    assert path.stat().st_size < 2_000

    with pytest.raises(DataError, match="bytes of memory"):
        sketch.load(path)


# --- public sets ---------------------------------------------------------------------------------------------------------------


SETS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no gzip stream": (lambda path: path.write_bytes(b"\x1f\x8b\x08" + b"\xff" * 40), "damaged|cut short"),
    "other fields": (lambda path: path.write_text('{"text": 5}\n'), "other fields"),
    "no objects": (lambda path: path.write_text("[1]\n"), "other fields"),
    "no JSON": (lambda path: path.write_text("text\n"), "cannot be read"),
    "deep": (lambda path: path.write_text('{"question": ' + "[" * 100_000 + "\n"), "cannot be read"),
}


@pytest.mark.parametrize("case", SETS)
def test_a_public_set_that_is_another_is_not_measured(tmp_path: Path, case: str) -> None:
    write, says = SETS[case]
    write(tmp_path / "set.jsonl.gz")

    with pytest.raises(NotMeasured, match=says):
        read_public(str(tmp_path), "set", lambda record: record["question"])
