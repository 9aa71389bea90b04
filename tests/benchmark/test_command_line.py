"""`fedmed-tui benchmark`: a quick benchmark in processes of its own, the list, and a comparison that a team can gate on."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from engine import locations
from engine.benchmark import saved
from engine.benchmark.results import BenchmarkResults
from engine.protocol import BenchmarkFinished, Stamped, decode_event
from fedmed_tui.cli import BAD_INPUT, DONE, FAILED, main
from tests.benchmark.samples import inference, results, speed, spread


def save(name: str, what: BenchmarkResults) -> None:
    folder = locations.benchmarks_folder() / name
    folder.mkdir(parents=True)
    (folder / saved.FILE).write_bytes(saved.to_json(what))


def test_a_quick_benchmark_prints_the_report_and_leaves_a_picture_of_it(finished: str, capfd: pytest.CaptureFixture[str]) -> None:
    code = main(["benchmark", "--quick"])

    told = capfd.readouterr()
    assert code == DONE
    folder = Path(told.out.splitlines()[-1])
    assert folder.parent == locations.benchmarks_folder()
    assert told.out.startswith(f"# Benchmark of run {finished}")
    assert "What is not claimed" in told.out
    assert "<svg" in (folder / "screen.svg").read_text()
    assert "Counting duplicates" in told.err


def test_json_leaves_a_picture_too(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    done = Stamped(seq=1, time=0.0, event=BenchmarkFinished(job="benchmark", folder=str(home), results=results()))
    monkeypatch.setattr("fedmed_tui.cli.benchmark.run_job", lambda _, on_event: on_event(done) or DONE)
    monkeypatch.setattr("fedmed_tui.runs.load_manifest", lambda name: SimpleNamespace(run=name))

    main(["benchmark", "--run", "demo-1", "--json"])

    assert "<svg" in (home / "screen.svg").read_text()
    assert decode_event(capsys.readouterr().out.encode()) == done


def test_results_are_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("demo-1-20260101", results(run="demo-1"))

    assert main(["benchmark", "list"]) == DONE

    assert "demo-1-20260101" in capsys.readouterr().out


@pytest.mark.parametrize(("tolerance", "code"), [("5", FAILED), ("20", DONE)])
def test_a_regression_beyond_the_tolerance_fails(
    home: Path, capsys: pytest.CaptureFixture[str], tolerance: str, code: int
) -> None:
    save("before", results())
    save("after", results(inference=replace(inference(), tokens_per_second=spread(54.0))))

    assert main(["benchmark", "diff", "before", "after", "--tolerance", tolerance]) == code

    told = capsys.readouterr().out
    assert "inference: decoding" in told
    assert "−11.5%" in told
    assert ("✘" in told) == (code == FAILED)


def test_the_same_twice_is_no_regression(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("before", results())

    assert main(["benchmark", "diff", "before", "before"]) == DONE

    assert "0 worse by more than 5 %" in capsys.readouterr().out


def test_a_suite_that_vanished_fails(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("before", results())
    save("after", results(knowledge=None, skipped={"knowledge": "the public set is not there."}))

    assert main(["benchmark", "diff", "before", "after"]) == FAILED

    told = capsys.readouterr().out
    assert "The suite knowledge was measured in before and is not in after: the public set is not there." in told


def test_figures_that_vanished_from_a_suite_are_counted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("before", results())
    save("after", results(speed=replace(speed(), matrix_flops=None)))

    assert main(["benchmark", "diff", "before", "after"]) == DONE

    assert re.search(r", [1-9]\d* gone, ", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--quick"], "no run has left adapters"),
        (["--run", "nothing"], "no such run"),
        (["--run", "nothing", "--suite", "everything"], "no suite 'everything'"),
        (["diff", "one", "two"], "no such results"),
        (["--seeds", "0"], "--seeds"),
    ],
)
def test_bad_input_is_told_in_one_sentence(
    home: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert main(["benchmark", *arguments]) == BAD_INPUT

    assert complaint in capfd.readouterr().err
