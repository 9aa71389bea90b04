"""Results on disk: what is written reads back, and what cannot be read says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from engine import locations
from engine.benchmark import saved
from engine.benchmark.results import BenchmarkResults
from engine.errors import RunError
from engine.protocol import RunBenchmark
from tests.benchmark.samples import learning, results


def save(name: str, what: BenchmarkResults) -> Path:
    folder = locations.benchmarks_folder() / name
    folder.mkdir(parents=True)
    (folder / saved.FILE).write_bytes(saved.to_json(what))
    return folder


def test_every_section_reads_back_as_it_was(home: Path) -> None:
    folder = save("one", results())

    assert saved.load(folder) == results()


def test_results_are_listed_newest_first_and_unreadable_ones_left_out(home: Path) -> None:
    old, new = save("old", results(created=1.0)), save("new", results(created=2.0))
    (save("damaged", results()) / saved.FILE).write_text("{")

    assert [folder for folder, _ in saved.list_results()] == [new, old]


@pytest.mark.parametrize("name", ["demo-1-20260101", "demo-1"])
def test_results_are_found_by_folder_and_by_run(home: Path, name: str) -> None:
    folder = save("demo-1-20260101", results(run="demo-1"))

    assert saved.find(name) == folder


def test_what_is_not_there_is_named(home: Path) -> None:
    with pytest.raises(RunError, match="nothing-here"):
        saved.find("nothing-here")


def test_another_schema_is_refused(home: Path) -> None:
    folder = save("later", results(schema=99))

    with pytest.raises(RunError, match="schema 99"):
        saved.load(folder)


def test_quick_results_are_completed_by_the_last_full_ones_of_the_same_run_alone(home: Path) -> None:
    save("other-run", results(run="other", created=9.0))
    save("another-round", results(rounds=2, created=8.0))
    save("this", results(created=1.0))
    blank = results(quick=True, learning=None, inference=None)

    completed = saved.with_earlier(blank)

    assert completed.earlier == "this"
    assert completed.inference == results().inference


def test_a_new_section_takes_over_only_what_it_leaves_open() -> None:
    fresh = replace(learning(), validation=learning().validation[:2], test=None)

    merged = saved.completed(learning(), fresh)

    assert merged == replace(learning(), validation=fresh.validation)


def test_the_command_asks_for_the_same_again() -> None:
    request = RunBenchmark(job="b", run="a b", suites=("learning",), seeds=5, weightings=("equal", "krum"), gpu=1)

    expected = "fedmed-tui benchmark --run 'a b' --suite learning --seeds 5 --gpu 1 --weightings equal,krum"
    assert saved.command_line(request) == expected
