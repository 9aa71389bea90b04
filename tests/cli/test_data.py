"""`fedmed-tui data …` with a real engine: from a CSV to a training run, and what each command prints."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from engine.protocol import ImportFinished, PartitionDescribed, decode_event
from fedmed_tui.cli import BAD_INPUT, DONE, main
from tests.cli.helpers import QUICK

ANSWER = "Rest, drink enough, and ask for help when it gets worse."


@pytest.fixture
def clinic(home: Path) -> Path:
    """A table as a clinic would export it, for two hospitals."""
    path = home / "clinic.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Question", "Response", "Condition", "Clinic"])
        for number in range(80):
            writer.writerow([f"What is ailment {number}?", ANSWER, f"ailment {number}", ("North", "South")[number % 2]])
    return path


def test_a_newcomer_gets_from_a_csv_to_a_training_run(
    home: Path, clinic: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "import", str(clinic)]) == DONE
    said = capfd.readouterr().out
    assert "Imported 80 pairs of 80 rows (CSV, separated by semicolon)" in said
    assert "question from Question, answer from Response, topic from Condition, hospital from Clinic" in said

    arguments = ["--data", "data/processed", "--rounds", "1", "--model", str(tiny_model), "--run", "first", *QUICK]
    assert main(["train", *arguments]) == DONE
    assert (home / "output-models" / "first" / "hospital_North" / "final" / "adapter_model.safetensors").is_file()


def test_data_is_looked_up_from_the_working_folder_by_every_command(clinic: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "import", clinic.name]) == DONE
    assert main(["data", "partition", "data/processed", "--hospitals", "3", "--target", "data/three"]) == DONE
    assert main(["data", "show", "data/three"]) == DONE

    assert "Imported 80 pairs of 80 rows (partitions)" in capfd.readouterr().out


def test_hospitals_that_got_no_test_pairs_are_named(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [f"What about condition {number}?,{ANSWER.replace(',', '')},{('north', 'south')[number % 2]}" for number in range(12)]
    (home / "few.csv").write_text("\n".join(["question,answer,hospital", *rows]))

    assert main(["data", "import", str(home / "few.csv"), "--yes"]) == DONE

    assert "No test pairs at north: " in capfd.readouterr().out


def test_json_output_is_events_only(clinic: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "import", str(clinic), "--json"]) == DONE

    events = [decode_event(line.encode()).event for line in capfd.readouterr().out.splitlines()]
    assert sum(isinstance(event, PartitionDescribed) for event in events) == 2
    assert sum(isinstance(event, ImportFinished) for event in events) == 1


def test_partition_show_overlap_and_pairs(home: Path, clinic: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "partition", str(clinic), "--strategy", "quantity", "--sizes", "40,20,10"]) == DONE
    assert main(["data", "show", "data/processed"]) == DONE
    assert main(["data", "overlap", "data/processed"]) == DONE
    assert main(["data", "pairs", "data/processed", "--hospital", "B", "--query", "ailment", "--limit", "1"]) == DONE

    said = capfd.readouterr().out
    assert "Imported 70 pairs of 80 rows" in said
    assert "Distance between topic distributions" in said
    assert "Compared 70 pairs at similarity 0.8" in said
    assert "1 of 20 matching pairs, 20 in all." in said


def test_sketches_travel_without_text(home: Path, clinic: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (home / "salt").write_text("a long secret that the hospitals share")
    main(["data", "import", str(clinic)])
    for hospital in ("North", "South"):
        arguments = ["--hospital", hospital, "--salt-file", str(home / "salt"), "--output", str(home / f"{hospital}.sketch")]
        assert main(["data", "sketch", "data/processed", *arguments]) == DONE

    assert main(["data", "overlap", "--sketch", str(home / "North.sketch"), "--sketch", str(home / "South.sketch")]) == DONE

    assert "Compared 80 pairs" in capfd.readouterr().out


def test_the_phi_scan_prints_masks_and_the_sheet_is_written(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    records = [{"question": f"What now {at}?", "answer": f"{ANSWER} Ask Dr. Okafor.", "topic": f"t{at}"} for at in range(40)]
    (home / "pairs.json").write_text(json.dumps(records))
    main(["data", "import", str(home / "pairs.json"), "--hospital", "A"])

    assert main(["data", "phi", "data/processed"]) == DONE
    assert main(["data", "report", "data/processed"]) == DONE

    said = capfd.readouterr().out
    assert "PERSON D•. O•••••" in said
    assert "Okafor" not in said
    assert (home / "data" / "report" / "processed.md").is_file()


def test_too_many_bad_rows_are_explained_and_nothing_is_written(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    records = [{"question": "Why?", "answer": ANSWER if at % 2 else "", "topic": f"t{at}"} for at in range(40)]
    (home / "pairs.json").write_text(json.dumps(records))

    assert main(["data", "import", str(home / "pairs.json"), "--hospital", "A"]) == BAD_INPUT

    said = capfd.readouterr()
    assert "20 of 40 rows cannot be used" in said.out
    assert "--allow-rejects" in said.err
    assert not (home / "data" / "processed").exists()


BAD_OPTIONS = {
    "a size that is none": (["import", "clinic.csv", "--sizes", "A"], "is no size"),
    "a list that is none": (["partition", "clinic.csv", "--proportions", "much"], "must be numbers above 0"),
    "a salt too short": (["sketch", "sample", "--hospital", "A", "--salt-file", "salt", "--output", "a"], "shorter than 16"),
    "no such salt": (["sketch", "sample", "--hospital", "A", "--salt-file", "nowhere", "--output", "a"], "cannot be read"),
    "no such source": (["import", "nowhere.csv"], "no such file or folder"),
    "no such strategy": (["partition", "clinic.csv", "--strategy", "best"], "--strategy"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options_are_one_sentence(
    home: Path, clinic: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], case: str
) -> None:
    arguments, message = BAD_OPTIONS[case]
    monkeypatch.chdir(home)
    (home / "salt").write_text("short")

    assert main(["data", *arguments]) == BAD_INPUT

    said = capfd.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1
