"""Files made to do harm, or damaged beyond use: each gets a sentence, and one bad row never takes the others along."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from engine.data import text
from engine.data.sources import base, lines
from engine.errors import DataError
from tests.data.helpers import ANSWER, imported, rows, run_import, write_csv, write_jsonl
from tests.data.test_sources import MEDQUAD_XML

BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<Document source="GARD"><Focus>&b;</Focus><QAPairs></QAPairs></Document>"""
OUTSIDE = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/passwd">]>
<Document source="GARD"><Focus>&secret;</Focus><QAPairs></QAPairs></Document>"""


def _lines_with(path: Path, bad: bytes, good: int = 40) -> Path:
    """Good JSON lines with one bad one in third place."""
    encoded = [json.dumps(row).encode() for row in rows(good)]
    path.write_bytes(b"\n".join([*encoded[:2], bad, *encoded[2:]]))
    return path


ONE_BAD_LINE = {
    "half a JSON object": (b'{"question": "Why', "not valid JSON"),
    "no object": (b'["question"]', "not a JSON object"),
    "nested past any limit": (b'{"question": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    "bytes of another encoding": (b'{"question": "Warum h\xe4ufig?", "answer": "Darum."}', "no text in this encoding"),
    "a NUL byte": (b'{"question": "Why\\u0000?", "answer": "So."}', "NUL byte"),
    "half a surrogate pair": (b'{"question": "\\ud800?", "answer": "So."}', "not valid JSON"),
    "not a number": (b'{"question": NaN, "answer": "So."}', "not valid JSON"),
}


@pytest.mark.parametrize("case", ONE_BAD_LINE)
def test_one_bad_line_is_rejected_with_its_number(home: Path, case: str) -> None:
    bad, reason = ONE_BAD_LINE[case]

    finished = run_import(_lines_with(home / "pairs.jsonl", bad))

    assert finished.kept == 40
    reject = json.loads((home / "data" / "processed" / "rejects.jsonl").read_text())
    assert reject["line"] == 3
    assert reason in reject["reason"]


def test_a_line_of_a_gigabyte_is_skipped_and_never_held_in_memory(home: Path) -> None:
    path = write_jsonl(home / "pairs.jsonl", rows(40))
    with path.open("r+b") as file:  # a sparse file: one line of a billion NUL bytes at its end
        file.truncate(2**30)

    tracemalloc.start()
    finished = run_import(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (finished.kept, finished.rejected) == (40, 1)
    assert "longer than 8,388,608 characters" in (home / "data" / "processed" / "rejects.jsonl").read_text()
    assert peak < 200 * 2**20


def test_a_gzip_bomb_is_one_long_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 10_000)
    content = write_jsonl(home / "plain", rows(40)).read_bytes() + b"a" * 50_000_000
    path = home / "pairs.jsonl.gz"
    path.write_bytes(gzip.compress(content))

    assert run_import(path).rejected == 1


def test_a_cell_that_never_ends_is_one_bad_row(home: Path) -> None:
    path = write_csv(home / "pairs.csv", rows(40))
    with path.open("a") as file:
        file.write('"an open quote,\n' + "no end in sight\n" * 1_000)
    limit = csv.field_size_limit(10_000)

    try:
        finished = run_import(path, allow_rejects=True)
    finally:
        csv.field_size_limit(limit)

    assert finished.kept == 40
    assert "field larger than field limit" in (home / "data" / "processed" / "rejects.jsonl").read_text()


def test_a_row_with_too_many_cells(home: Path) -> None:
    path = write_csv(home / "pairs.csv", rows(40))
    with path.open("a") as file:
        file.write("What?,That.,topic,and,more\n")

    run_import(path)

    assert "5 columns, the header 3" in (home / "data" / "processed" / "rejects.jsonl").read_text()


WHOLE_FILES = {
    "truncated gzip": (lambda: gzip.compress(os.urandom(50_000).hex().encode())[:-200], r"cut short"),
    "damaged gzip": (lambda: gzip.compress(b"{}")[:12] + b"\x00" * 40, r"damaged|cut short"),
    "truncated Parquet": (lambda: b"PAR1" + b"\x00" * 100, r"cannot be read"),
    "a JSON array that stops": (lambda: b'[{"question": "Why?", "ans', r"not a valid JSON array"),
    "a file of NUL bytes": (lambda: b"\x00" * 5_000, r"no usable pairs"),
    "two columns of one name": (lambda: b"question,answer,answer\nWhy?,So.,So.\n" * 30, r"two columns are called 'answer'"),
    "an unknown byte soup": (lambda: bytes(range(256)) * 20, r"not a kind of data we know"),
}


@pytest.mark.parametrize("case", WHOLE_FILES)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(home: Path, case: str) -> None:
    make, message = WHOLE_FILES[case]
    path = home / "export.bin"
    path.write_bytes(make())

    with pytest.raises(DataError, match=message) as caught:
        run_import(path)

    assert caught.value.hint


def test_a_wrong_encoding_rejects_the_lines_it_hurts_and_the_right_one_mends_them(home: Path) -> None:
    path = write_csv(home / "pairs.csv", rows(40, kind="Überblick"), encoding="cp1252")

    with pytest.raises(DataError, match="no text in this encoding"):
        run_import(path)
    run_import(path, encoding="cp1252")

    assert imported()[0].kind == "Überblick"


def test_an_encoding_nobody_knows(home: Path) -> None:
    with pytest.raises(DataError, match="unknown encoding"):
        run_import(write_csv(home / "pairs.csv", rows(40)), encoding="klingon")


def test_control_characters_are_removed_and_counted(home: Path) -> None:
    finished = run_import(write_jsonl(home / "pairs.jsonl", rows(40, answer=f"\x1b[31m{ANSWER}\x07")))

    assert {pair.answer for pair in imported()} == {f"[31m{ANSWER}"}
    assert finished.cleaned == {text.CONTROL: 40}


def test_direction_overrides_are_removed_and_right_to_left_text_stays(home: Path) -> None:
    hebrew, arabic = "מה עוזר נגד שפעת?", "\u202eماء كثير وراحة\u202c \u200f(2 أيام)"

    finished = run_import(write_jsonl(home / "pairs.jsonl", rows(40, question=hebrew, answer=arabic)))

    assert (imported()[0].question, imported()[0].answer) == (hebrew, "ماء كثير وراحة \u200f(2 أيام)")
    assert finished.cleaned == {text.DIRECTION: 40}


@pytest.mark.parametrize("bomb", [BOMB, OUTSIDE], ids=["entities that grow", "a file of this machine"])
def test_xml_entities_are_never_expanded(home: Path, bomb: str) -> None:
    folder = home / "MedQuAD"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:03}.xml").write_text(MEDQUAD_XML.format(source="GARD", number=number, answer=ANSWER))
    (folder / "999.xml").write_text(bomb)

    finished = run_import(folder)

    assert (finished.kept, finished.rejected) == (40, 1)
    assert "999.xml': the XML declares entities" in (home / "data" / "processed" / "rejects.jsonl").read_text()


@pytest.mark.parametrize("name", ["../evil.xml", "/etc/evil.xml", "a/../../evil.xml", "..\\evil.xml", "C:\\evil.xml"])
def test_an_archive_that_climbs_out_of_its_folder_is_refused_whole(home: Path, name: str) -> None:
    path = home / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.xml", MEDQUAD_XML.format(source="GARD", number=1, answer=ANSWER))
        archive.writestr(zipfile.ZipInfo(name), "<x/>")

    with pytest.raises(DataError, match="outside its folder"):
        run_import(path)


def test_links_in_a_tar_are_not_followed(home: Path) -> None:
    path = home / "archive.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("passwd.xml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for number in range(40):
            data = MEDQUAD_XML.format(source="GARD", number=number, answer=ANSWER).encode()
            member = tarfile.TarInfo(f"{number:03}.xml")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

    assert run_import(path).kept == 40


def test_a_truncated_archive_imports_nothing(home: Path, shared_data: Path) -> None:
    whole = (shared_data / "MedQuAD-577bd37.tar.gz").read_bytes()
    path = home / "MedQuAD.tar.gz"
    path.write_bytes(whole[: len(whole) // 3])

    with pytest.raises(DataError, match="cut short"):
        run_import(path, hospital="")

    assert not (home / "data" / "processed").exists()


def test_a_document_that_unpacks_to_too_much_is_one_reject(home: Path) -> None:
    path = home / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("000-bomb.xml", b" " * (base.MAX_LINE + 1))
        for number in range(40):
            archive.writestr(f"{number:03}.xml", MEDQUAD_XML.format(source="GARD", number=number, answer=ANSWER))

    finished = run_import(path)

    assert (finished.kept, finished.rejected) == (40, 1)


SECRETS = {
    "in the question": b'{"question": "Does Jane Roe have HIV?", "answer": ""}',
    "in the split": b'{"question": "Does she have HIV?", "answer": "Yes.", "split": "Jane Roe, born 1961"}',
}


@pytest.mark.parametrize("case", SECRETS)
def test_a_rejected_row_is_never_repeated_in_the_list_of_rejects(home: Path, case: str) -> None:
    finished = run_import(_lines_with(home / "pairs.jsonl", SECRETS[case]))

    assert finished.rejected == 1

    assert "Jane" not in (home / "data" / "processed" / "rejects.jsonl").read_text()


def test_an_unreadable_file(home: Path) -> None:
    path = write_jsonl(home / "pairs.jsonl", rows(40))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")

    with pytest.raises(DataError, match="Permission denied"):
        run_import(path)
