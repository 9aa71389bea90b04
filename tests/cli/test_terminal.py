"""What files, settings and records say is printed as text: no cursor moved, no title set, nothing copied, no row added."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from engine.manifest import Manifest
from engine.plain_text import is_obeyed, markdown_cell, sheet_cell
from engine.protocol import (
    AnyEvent,
    BrowsedPair,
    DataReported,
    HospitalInfo,
    HospitalLost,
    NearPair,
    OverlapMeasured,
    PairsPage,
    PartitionDescribed,
    Progress,
    RoundStarted,
    RunStarted,
    Stamped,
    decode_event,
    encode_event,
)
from engine.settings import DEMO
from fedmed_tui.cli import main
from fedmed_tui.cli.data_text import print_events
from fedmed_tui.cli.output import PlainOutput, print_json
from fedmed_tui.export import export_run
from fedmed_tui.history import Answered, as_markdown
from fedmed_tui.runs import EVENTS

HOSTILE = "x\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[2J\x1b[1A\x9b2K\rforged\u202e"
OBEYED = set("\x1b\x07\x9b\r\x08\u202e")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main(list(arguments))
    said = capsys.readouterr()
    return said.out + said.err


@pytest.fixture
def hostile_run(home: Path) -> str:
    """A run folder that somebody wrote by hand."""
    folder = home / "output-models" / "r"
    folder.mkdir(parents=True)
    manifest = Manifest(run="r", config=DEMO, hospitals=(HOSTILE, f"B\n{HOSTILE}"), created=1.0, rounds=3, status="done")
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    hospitals = tuple(HospitalInfo(name=name, train=9, validation=3, test=3) for name in (HOSTILE, f"B\n{HOSTILE}"))
    lost = HospitalLost(round=1, hospital=HOSTILE, during="training", kind="raised", reason=f"a\nforged row {HOSTILE}")
    events: tuple[AnyEvent, ...] = (RunStarted(run="r", config=DEMO, hospitals=hospitals), RoundStarted(round=1, rounds=3), lost)
    lines = [encode_event(Stamped(seq=n, time=1.0, event=event)) for n, event in enumerate(events, start=1)]
    (folder / EVENTS).write_bytes(b"".join(lines))
    return "r"


@pytest.mark.parametrize("command", ["runs", "replay"])
def test_a_hostile_run_folder_is_listed_and_told_as_text(
    hostile_run: str, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    said = printed(capsys, command, *([hostile_run] if command == "replay" else []))

    assert "owned" in said and not OBEYED & set(said)
    assert not [line for line in said.splitlines() if line.startswith("forged row")]


@pytest.mark.parametrize("text", ['"{0}" = 1', 'seed = "{0}"', '[training]\n"{0}" = 2', "[{0}"])
def test_hostile_settings_are_refused_as_text(home: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    escaped = HOSTILE.encode("unicode_escape").decode().replace("\\x", "\\u00")
    (home / "my.toml").write_text(text.format(escaped), encoding="utf-8")

    said = printed(capsys, "train", "--config", str(home / "my.toml"))

    assert said and not OBEYED & set(said)


def test_a_hostile_file_name_is_told_as_text(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / (HOSTILE.replace("/", "") + ".toml")

    said = printed(capsys, "train", "--config", str(path))

    assert "no such settings file" in said and not OBEYED & set(said)


def test_a_hostile_kit_folder_is_told_as_text(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kit = home / "kit\x1b]0;owned\x07\x9b2K"
    kit.mkdir()

    main(["hospital", "start", str(kit), "--data", str(kit)])

    said = "".join(capfd.readouterr())  # of the process that it starts, too
    assert "joining" in said and "is no hospital's kit" in said and not OBEYED & set(said)


def test_an_unknown_option_is_told_as_text(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(capsys, "runs", f"--{HOSTILE}")

    assert "owned" in said and not OBEYED & set(said)


ROW = "t\nforged row"
DESCRIBED = PartitionDescribed(
    job="1", hospital=HOSTILE, folder="f", train=1, validation=1, test=1, topics=1, answer_words=1, kinds={}, top_topics={},
    examples=(), tokens=1, answer_lengths=(), source=f"a\nforged row {HOSTILE}", licence=HOSTILE,
)  # fmt: skip
OVERLAP = OverlapMeasured(
    job="1", folder="", threshold=0.8, pairs={HOSTILE: 2}, cells=(), leaks=(),
    examples=(NearPair(hospital=HOSTILE, first="a\nforged row", second=HOSTILE, similarity=0.9),), seconds=1.0,
)  # fmt: skip
PAGE = PairsPage(
    job="1", hospital="A", query="", total=1, matches=1, offset=0,
    pairs=(BrowsedPair(id="1", question=f"Why?\nforged row {HOSTILE}", answer=HOSTILE, topic=ROW, kind="", split="train"),),
)  # fmt: skip
REPORTED = DataReported(job="1", markdown=HOSTILE, json=HOSTILE)


@pytest.mark.parametrize("event", [DESCRIBED, OVERLAP, PAGE, REPORTED], ids=lambda event: type(event).__name__)
def test_what_is_found_in_hostile_data_is_printed_as_text(event: AnyEvent, capsys: pytest.CaptureFixture[str]) -> None:
    print_events([event])

    said = capsys.readouterr().out
    assert "owned" in said and not OBEYED & set(said)
    assert not [line for line in said.splitlines() if line.startswith("forged row")]


def test_what_is_worked_on_is_printed_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    PlainOutput()(Stamped(seq=1, time=1.0, event=Progress(job="1", what=f"reading\nforged row {HOSTILE}", done=1, total=2)))

    said = capsys.readouterr().out
    assert said.startswith("Reading forged row") and not OBEYED & set(said)


@pytest.mark.parametrize("text", [HOSTILE, "\x7f\x85\U000e0041", "plain ä 漢 😀"])
def test_events_as_json_hold_nothing_that_a_terminal_obeys_and_are_the_same_events(
    text: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    said = Stamped(seq=1, time=1.0, event=Progress(job="1", what=text, done=1, total=2))

    print_json(said)

    line = capfdbinary.readouterr().out
    assert decode_event(line) == said
    assert not any(is_obeyed(character) for character in line.decode())


def test_what_is_exported_of_a_hostile_run_is_text(hostile_run: str) -> None:
    folder = export_run(hostile_run)

    for name in ("REPORT.md", "snapshot.csv"):
        text = (folder / name).read_text(encoding="utf-8")
        assert not any(is_obeyed(character) for character in text)
        assert not [line for line in text.splitlines() if line.startswith("forged row")]


def test_a_transcript_is_text_whatever_the_run_is_called() -> None:
    text = as_markdown([Answered(run=f"r\n# forged row {HOSTILE}", adapter=HOSTILE, asked=1.0, question=HOSTILE, answer="So.")])

    assert "owned" in text and not OBEYED & set(text)
    assert not [line for line in text.splitlines() if line.startswith("# forged row")]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1+1", "\u200e=1"])
def test_no_cell_of_a_sheet_is_a_formula(text: str) -> None:
    assert sheet_cell(text).startswith("'")


def test_a_hospital_of_a_plain_name_is_the_same_in_a_sheet() -> None:
    assert sheet_cell("St.-Marys_2") == "St.-Marys_2"


@pytest.mark.parametrize("text", ["a | b", "a\n| b", "<script>", "![x](http://x)", "[x](javascript:x)", "\\| x", HOSTILE])
def test_no_cell_of_a_report_is_anything_but_text(text: str) -> None:
    cell = markdown_cell(text)

    assert not set("|<\n") & set(cell.replace("\\\\", "").replace("\\|", "")) and not OBEYED & set(cell)
    assert "](" not in cell


def test_a_working_folder_whose_name_is_no_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDMED_HOME", os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))

    assert main(["runs"]) == 2
