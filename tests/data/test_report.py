"""The data sheet says where pairs come from, how they are divided, what is shared and what identifies; never a pair's text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.data.report import report
from engine.protocol import DataReported, ReportData
from tests.data.helpers import ANSWER, last, rows, run_import, write_jsonl

NAME = "Dr. Okafor"


@pytest.fixture
def written(home: Path) -> DataReported:
    records = [{**row, "hospital": "AB"[at % 2], "answer": f"{ANSWER} Ask {NAME}."} for at, row in enumerate(rows(80))]
    records += [{**records[0], "hospital": "B"}]
    run_import(write_jsonl(home / "pairs|<odd>.jsonl", records), hospital="", licence="CC0")
    return last(report(ReportData(job="report", folder="data/processed")), DataReported)


def test_the_markdown_has_every_part(written: DataReported) -> None:
    sheet = Path(written.markdown).read_text(encoding="utf-8")

    for heading in ("Origin", "Sizes", "Differences between hospitals", "Overlap", "Identifying text"):
        assert f"## {heading}" in sheet
    assert "| A | pairs\\|&lt;odd>.jsonl | CC0 |" in sheet
    assert "| A | B | 1 | 0 |" in sheet  # one exact copy across hospitals
    assert "| A | 40 of 40 | 40 |" in sheet  # pairs with a name in them


def test_the_json_holds_the_same_facts(written: DataReported) -> None:
    facts = json.loads(Path(written.json).read_text(encoding="utf-8"))

    assert {one["hospital"] for one in facts["partitions"]} == {"A", "B"}
    assert facts["manifests"]["A"]["licence"] == "CC0"
    assert facts["overlap"]["cells"][0]["exact"] == 1
    assert facts["phi"][0]["findings"] == {"PERSON": 40}


def test_no_text_of_a_pair_is_in_the_sheet(written: DataReported) -> None:
    for path in (written.markdown, written.json):
        content = Path(path).read_text(encoding="utf-8")
        assert "Okafor" not in content
        assert ANSWER not in content
