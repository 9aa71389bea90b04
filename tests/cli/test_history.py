"""`fedmed-tui runs`, `replay` and `export`: earlier runs, read without the engine."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from engine.errors import RunError
from engine.protocol import RoundFinished, UpdateReceived, decode_event
from engine.settings import DEMO
from fedmed_tui import runs
from fedmed_tui.cli import DONE, main
from fedmed_tui.export import REPORT, SHOWN_LINES, export_snapshot, read_report
from fedmed_tui.state import RunState
from tests.cli.helpers import TRAINED


def test_runs_lists_name_rounds_status_and_adapters(trained_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == DONE

    line = capsys.readouterr().out.splitlines()[-1]
    assert line.split()[0] == TRAINED
    assert "2 of 2" in line
    assert "done" in line
    assert "global, A, B, C" in line


def test_a_folder_that_is_no_run_is_not_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "output-models" / "notes").mkdir(parents=True)

    main(["runs"])

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [('{"schema": 0}', "was written with schema 0, this program reads 1"), ('{"schema": 1', "is damaged"), ("7", "is damaged")],
)
def test_a_run_that_cannot_be_read_is_named_with_the_reason(
    home: Path, capsys: pytest.CaptureFixture[str], manifest: str, reason: str
) -> None:
    folder = home / "output-models" / "old"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest)

    main(["runs"])

    told = capsys.readouterr().err
    assert f"{folder / 'manifest.json'}: {reason}" in told
    assert "No runs" not in told


def test_names_of_new_runs_sort_by_time() -> None:
    earlier, later = runs.new_run_name(DEMO, 1_800_000_000), runs.new_run_name(DEMO, 1_800_000_001)

    assert earlier.startswith("demo-20")
    assert earlier < later


def test_replay_tells_the_feed_and_the_rounds(trained_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["replay", TRAINED])

    told = capsys.readouterr().out
    state = runs.load_state(TRAINED)
    assert "Round 2 closed" in told
    assert f"{state.loss_series('B')[2]:.3f}" in told.splitlines()[-2]  # the table's last row, above its legend


def test_replay_as_json_is_the_record_itself(trained_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["replay", TRAINED, "--json"])

    assert capsys.readouterr().out == (trained_run / "events.jsonl").read_text()


def test_a_torn_last_line_is_left_out(trained_run: Path) -> None:
    whole = runs.load_events(TRAINED)
    events = trained_run / "events.jsonl"
    events.write_bytes(events.read_bytes()[:-20])

    assert runs.load_events(TRAINED) == whole[:-1]


def test_export_writes_every_number_of_the_record(trained_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", TRAINED])

    folder = Path(capsys.readouterr().out.strip())
    with (folder / "snapshot.csv").open() as file:
        rows = {(row["round"], row["hospital"], row["metric"]): float(row["value"]) for row in csv.DictReader(file)}
    recorded = [decode_event(line).event for line in (trained_run / "events.jsonl").read_bytes().splitlines()]
    for event in recorded:
        if isinstance(event, UpdateReceived):
            assert rows[str(event.round), event.hospital, "training_loss"] == event.loss
            assert rows[str(event.round), event.hospital, "update_bytes"] == event.bytes
        if isinstance(event, RoundFinished):
            assert rows[str(event.round), "all", "validation_loss_global"] == pytest.approx(event.after, abs=1e-9)
    assert folder.parent == trained_run / "snapshots"


def test_the_json_and_the_csv_of_a_snapshot_agree(trained_run: Path) -> None:
    folder = export_snapshot(runs.load_state(TRAINED), trained_run)

    record = json.loads((folder / "snapshot.json").read_text())
    with (folder / "snapshot.csv").open() as file:
        rows = [{**row, "round": int(row["round"]), "value": float(row["value"])} for row in csv.DictReader(file)]
    assert record["measurements"] == rows
    assert record["outcome"] == "done"


def test_the_report_holds_the_losses_of_each_round(trained_run: Path) -> None:
    state = runs.load_state(TRAINED)

    report = (export_snapshot(state, trained_run) / "REPORT.md").read_text()

    for number, loss in state.loss_series("A").items():
        assert f"{loss:.4f}" in report, f"round {number}"


def test_the_screen_is_kept_when_there_is_one(trained_run: Path) -> None:
    folder = export_snapshot(runs.load_state(TRAINED), trained_run, "<svg/>")

    assert (folder / "screen.svg").read_text() == "<svg/>"


def test_two_snapshots_in_one_second_do_not_meet(trained_run: Path) -> None:
    state = runs.load_state(TRAINED)

    folders = {export_snapshot(state, trained_run) for _ in range(3)}

    assert len(folders) == 3


def test_a_failed_export_leaves_nothing_behind(trained_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)

    with pytest.raises(RunError, match="No space left"):
        export_snapshot(runs.load_state(TRAINED), trained_run)

    assert list((trained_run / "snapshots").iterdir()) == []


def test_an_export_does_not_follow_a_link_out_of_the_run(trained_run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (trained_run / "snapshots").symlink_to(elsewhere)

    with pytest.raises(RunError, match="behind a link"):
        export_snapshot(runs.load_state(TRAINED), trained_run)

    assert list(elsewhere.iterdir()) == []


def test_nothing_is_exported_before_the_first_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run"):
        export_snapshot(RunState(), tmp_path)


def test_of_a_long_report_the_beginning_is_shown_and_how_much_is_left(tmp_path: Path) -> None:
    (tmp_path / REPORT).write_text("line\n" * (SHOWN_LINES + 1200))

    shown = read_report(tmp_path)

    assert shown.count("line\n") == SHOWN_LINES
    assert shown.endswith("1,200 more lines stand in REPORT.md.")
