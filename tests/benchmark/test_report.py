"""The report says what was measured, what was not, and what is not claimed; text from outside cannot break it."""

from __future__ import annotations

import csv
import io
import re

import pytest
from msgspec.structs import replace

from engine.benchmark.metrics import to_csv
from engine.benchmark.report import markdown
from engine.benchmark.results import SUITES
from tests.benchmark.samples import RUN, aggregation, efficiency, learning, partly_evaluated, privacy, results


def test_it_holds_every_section_the_figure_the_command_and_the_limits() -> None:
    text = markdown(results(), "figure.png")

    for expected in (*SUITES.values(), "(figure.png)", "fedmed-tui benchmark --run demo-1", "What is not claimed"):
        assert expected in text


def test_improvement_is_told_on_test_pairs_and_never_on_training_loss() -> None:
    text = markdown(results(), "figure.png")

    assert "2.500 → 2.200 (−12.0 %); 75 % of the centralised gain" in text
    assert "training loss" not in text.lower()


def test_the_reference_is_compared_with_every_size_of_its_base() -> None:
    text = markdown(results(), "figure.png")

    for expected in ("3,407,872 (0.047 %)", "13.0 MiB", "99.81 %", "99.91 %", "99.67 %"):
        assert expected in text


def test_gains_carry_their_interval() -> None:
    assert "+0.40 % [−0.20 %, +1.00 %]" in markdown(results(), "figure.png")


def test_a_skipped_suite_is_told_with_its_reason() -> None:
    text = markdown(results(safety=None, skipped={"safety": "the sets are not there."}), "figure.png")

    assert "| safety | the sets are not there. |" in text
    assert SUITES["safety"] not in text


def test_results_without_any_section_still_make_a_report() -> None:
    text = markdown(results(**dict.fromkeys(SUITES)), "figure.png")  # type: ignore[arg-type]

    assert "What is not claimed" in text


def test_a_raw_value_that_crossed_cannot_be_overlooked() -> None:
    section = privacy()
    leaking = replace(section, traffic=(*section.traffic, replace(section.traffic[0], kind="text", values=3)))

    assert "**Raw values sent** 3" in markdown(results(privacy=leaking), "figure.png")


@pytest.mark.parametrize("name", ["a|b", "a\\|b", "line\nbreak", "<script>x</script>", "[link](http://example.org)"])
def test_a_name_from_outside_stays_in_its_cell(name: str) -> None:
    sizes = replace(RUN, name=name)
    text = markdown(results(model=name, efficiency=replace(efficiency(), run=sizes)), "figure.png")

    assert "<script" not in text
    header = next(line for line in text.splitlines() if "reference: Mistral" in line)
    assert len(re.findall(r"(?<!\\)\|", header.replace(r"\\", ""))) == 4


def test_the_csv_holds_one_figure_a_line_with_its_bounds() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(results()))))

    full_run = next(row for row in rows if (row["metric"], row["subject"]) == ("full_runs_test_loss", "agent"))
    assert [float(full_run[name]) for name in ("value", "low", "high")] == pytest.approx([2.2, 2.194, 2.206])
    assert {row["suite"] for row in rows} == set(SUITES)


def test_a_hospital_that_told_no_loss_leaves_its_cell_empty() -> None:
    rows = markdown(results(learning=partly_evaluated()), "figure.png").splitlines()

    assert next(row for row in rows if row.startswith("| 1 |")).split("|")[3].strip() == "–"


def test_the_losses_of_the_hospitals_own_adapters_have_a_table() -> None:
    section = learning()
    rounds = tuple(replace(at, own={"B": 1.75} if at.round else {}) for at in section.validation)

    text = markdown(results(learning=replace(section, validation=rounds)), "figure.png")

    assert text.count("1.7500 (5.8)") == 3
    assert "own adapter of the round" not in markdown(results(), "figure.png")


def test_losses_by_round_of_many_hospitals_fit_the_table() -> None:
    losses = {f"H{at:02d}": 2.0 for at in range(40)}
    section = replace(learning(), validation=tuple(replace(at, losses=losses) for at in learning().validation), test=None)
    rounds = tuple(replace(at, weights=losses) for at in aggregation().rounds)

    text = markdown(results(learning=section, aggregation=replace(aggregation(), rounds=rounds)), "figure.png")

    widths = {line.count("|") for line in text.splitlines() if line.startswith(("| base |", "| round |"))}
    assert widths == {43, 44}  # losses: round, 40 hospitals, mean; weights: round, 40 hospitals, step size, error
