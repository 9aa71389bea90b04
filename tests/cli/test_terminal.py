"""What files, settings and records say is printed as text: no cursor moved, no title set, nothing copied, no row added."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.manifest import Manifest
from engine.protocol import HospitalInfo, HospitalLost, RoundStarted, RunStarted, Stamped, encode_event
from engine.settings import DEMO
from fedmed_tui.cli import main
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
    events = (RunStarted(run="r", config=DEMO, hospitals=hospitals), RoundStarted(round=1, rounds=3), lost)
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
