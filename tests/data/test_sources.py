"""Every kind of source is recognised by what is in it, whatever its name, and gives the same pairs."""

from __future__ import annotations

import gzip
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.sources import open_source
from engine.errors import DataError
from tests.data.helpers import ANSWER, imported, rows, run_import, write_csv, write_jsonl

RECORDS = rows(40)
EXPECTED = [(record["question"], record["answer"], record["topic"]) for record in RECORDS]


def _json_array(path: Path) -> None:
    path.write_text(json.dumps(RECORDS, indent=1))


def _gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(write_jsonl(path.with_suffix(".plain"), RECORDS).read_bytes()))


def _gzip_csv(path: Path) -> None:
    path.write_bytes(gzip.compress(write_csv(path.with_suffix(".plain"), RECORDS).read_bytes()))


def _parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(RECORDS), path)


WRITERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "JSON lines": (lambda path: write_jsonl(path, RECORDS), "JSON lines"),
    "JSON lines, gzip": (_gzip, "JSON lines, gzip"),
    "JSON array": (_json_array, "JSON array"),
    "CSV": (lambda path: write_csv(path, RECORDS), "CSV, separated by comma"),
    "CSV, gzip": (_gzip_csv, "CSV, separated by comma, gzip"),
    "CSV with semicolons": (lambda path: write_csv(path, RECORDS, ";"), "CSV, separated by semicolon"),
    "TSV": (lambda path: write_csv(path, RECORDS, "\t"), "TSV, separated by tab"),
    "Excel's UTF-8": (lambda path: write_csv(path, RECORDS, encoding="utf-8-sig"), "CSV, separated by comma"),
    "UTF-16": (lambda path: write_csv(path, RECORDS, "\t", encoding="utf-16"), "TSV, separated by tab"),
    "Parquet": (_parquet, "Parquet"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_is_recognised_by_its_content(home: Path, kind: str) -> None:
    write, expected_kind = WRITERS[kind]
    path = home / "export.dat"
    write(path)

    finished = run_import(path)

    assert finished.kind == expected_kind
    assert [(pair.question, pair.answer, pair.topic) for pair in imported()] == EXPECTED


def test_a_saved_dataset_and_a_dataset_folder(home: Path) -> None:
    """`load_dataset` of a local folder is the call that a hub id takes too."""
    from datasets import Dataset, DatasetDict

    splits = {"train": Dataset.from_list(RECORDS[:30]), "test": Dataset.from_list(RECORDS[30:])}
    DatasetDict(splits).save_to_disk(str(home / "saved"))
    for name, split in splits.items():
        split.to_parquet(str(home / "hub-like" / "data" / f"{name}-00000-of-00001.parquet"))

    for folder, kind in (("saved", "saved data set"), ("hub-like", "data set folder")):
        finished = run_import(home / folder)

        assert finished.kind == kind
        assert [pair.question for pair in imported()] == [question for question, _, _ in EXPECTED]
        assert {pair.split for pair in imported()[30:]} == {"test"}
        assert {pair.split for pair in imported()[:30]} == {"train", "validation"}  # the source has none: some are taken


def test_partitions_can_be_imported_again(home: Path) -> None:
    run_import(write_jsonl(home / "pairs.jsonl", RECORDS), licence="CC0")
    before = imported()

    assert open_source(str(home / "data" / "processed")).licence == "CC0"
    finished = run_import(home / "data" / "processed")

    assert finished.kind == "partitions"
    assert imported() == before


def test_a_quoted_cell_may_hold_line_breaks_and_delimiters(home: Path) -> None:
    records = [{**record, "answer": 'First line,\nsecond "line"'} for record in RECORDS]

    run_import(write_csv(home / "pairs.csv", records))

    assert {pair.answer for pair in imported()} == {'First line,\nsecond "line"'}


NOT_DATA = {
    "PDF": (b"%PDF-1.7 ...", "PDF"),
    "picture": (b"\x89PNG\r\n\x1a\n....", "picture"),
    "prose": (b"Just some text without columns.\nAnd more of it.\n", "not a kind of data we know"),
    "empty": (b"", "is empty"),
    "XML bomb or not, no archive": (b"<?xml version='1.0'?><a/>", "not a kind of data we know"),
}


@pytest.mark.parametrize("case", NOT_DATA)
def test_what_is_no_data_is_called_by_its_name(tmp_path: Path, case: str) -> None:
    content, message = NOT_DATA[case]
    path = tmp_path / "export.csv"
    path.write_bytes(content)

    with pytest.raises(DataError, match=message):
        open_source(str(path))


def test_an_excel_workbook_is_asked_for_as_csv(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")

    with pytest.raises(DataError, match=r"Excel workbook.*as CSV"):
        open_source(str(path))


def test_a_missing_file_is_not_looked_for_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()

    with pytest.raises(DataError, match="no such file"):
        open_source("data/pairs")


MEDQUAD_XML = """<?xml version="1.0" encoding="UTF-8"?>
<Document id="0000001" source="{source}" url="https://example.org"><Focus>Ailment {number}</Focus><QAPairs>
<QAPair pid="1"><Question qid="{number}-1" qtype="symptoms">What are the symptoms of ailment {number} ?</Question>
<Answer>{answer}</Answer></QAPair></QAPairs></Document>"""


@pytest.mark.parametrize("form", ["folder", "tar.gz", "zip"])
def test_medquad_in_every_form(home: Path, form: str) -> None:
    folder = home / "MedQuAD"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:03}.xml").write_text(MEDQUAD_XML.format(source="GARD", number=number, answer=ANSWER))

    finished = run_import(_packed(folder, form))

    assert finished.kind == ("MedQuAD folder" if form == "folder" else "MedQuAD archive")
    assert finished.kept == 40
    assert imported()[0].question == "What are the symptoms of ailment 0?"


def _packed(folder: Path, form: str) -> Path:
    if form == "folder":
        return folder
    path = folder.with_suffix(f".{form}")
    names = sorted(folder.iterdir())
    if form == "zip":
        with zipfile.ZipFile(path, "w") as zipped:
            for name in names:
                zipped.write(name, name.name)
    else:
        with tarfile.open(path, "w:gz") as packed:
            for name in names:
                packed.add(name, name.name)
    return path
