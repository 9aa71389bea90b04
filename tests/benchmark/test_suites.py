"""The benchmark job on a real run of the tiny model: every suite, what it says on the way, and what it leaves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine import locations
from engine.benchmark import recorded, saved
from engine.benchmark.report import markdown
from engine.benchmark.results import QUICK, SUITES, BenchmarkResults
from engine.errors import ModelError, RunError, SettingsError
from engine.jobs.benchmark import benchmark
from engine.jobs.context import Engine
from engine.jobs.model import ensure_bank
from engine.jobs.run import start_run
from engine.protocol import (
    AnyEvent,
    BenchmarkFinished,
    BenchmarkProgress,
    BenchmarkStarted,
    ModelLoaded,
    RunBenchmark,
    StartRun,
    SuiteMeasured,
)
from engine.scheduler import Cancelled
from engine.settings import ModelSettings, load_config
from tests.benchmark.conftest import SMALL
from tests.tiny_model import shift_weights

FILES = {"benchmark_results.json", "benchmark_results.csv", "BENCHMARK_REPORT.md", "benchmark_visualization.png"}


def events_of(run: str, **request: Any) -> list[AnyEvent]:
    job = benchmark(Engine(attached=True), RunBenchmark(job="b", run=run, **SMALL | request))
    return [event for event in job if event is not None]


def finished_of(events: list[AnyEvent]) -> BenchmarkFinished:
    assert isinstance(events[-1], BenchmarkFinished)
    return events[-1]


@pytest.fixture
def results(full: list[AnyEvent]) -> BenchmarkResults:
    """Of the full benchmark."""
    return finished_of(full).results


def test_traffic_is_stated_in_sum_and_written_row_by_row(finished: str) -> None:
    events = events_of(finished, quick=True, suites=("privacy",))

    written = saved.load(Path(finished_of(events).folder)).privacy
    stated = [event.results.privacy for event in events if isinstance(event, SuiteMeasured | BenchmarkFinished)]
    assert written is not None and {row.hospital for row in written.traffic} == {"A", "B", "C"}
    for one in stated:
        assert one is not None and {row.hospital for row in one.traffic} == {recorded.EVERYBODY}
        assert sum(row.bytes for row in one.traffic) == sum(row.bytes for row in written.traffic)


# --- in full -------------------------------------------------------------------------------------------------------------------


def test_a_full_benchmark_measures_every_suite(results: BenchmarkResults) -> None:
    assert results.skipped == {}
    assert list(results.measured) == list(SUITES)
    assert results.inference is not None and results.inference.cold_seconds is not None
    assert results.knowledge is not None and len(results.knowledge.choices) == 4
    assert results.safety is not None and results.safety.figures[1].noticed == 5
    assert results.speed is not None and results.speed.share_of_matrix_rate is not None


def test_all_arms_are_measured_on_the_same_test_pairs(results: BenchmarkResults) -> None:
    assert results.learning is not None and results.learning.test is not None
    test = results.learning.test
    assert [arm.arm for arm in test.arms] == ["base", "local", "federated", "centralised"]
    assert test.pairs == {"A": 4, "B": 4, "C": 4}
    assert {arm.steps for arm in test.arms} == {0, 3 * 2 * 3}  # three hospitals, two rounds of three steps
    assert test.of("centralised").macro < test.of("base").macro


def test_the_complete_run_with_the_runs_own_seed_and_weights_is_the_run(results: BenchmarkResults) -> None:
    assert results.learning is not None and results.learning.test is not None and results.aggregation is not None
    runs = {one.weighting: one for one in results.aggregation.full_runs}

    assert set(runs) == {"equal", "samples", "agent"}  # what was asked for, the reference, and the run's own
    assert runs["agent"].macro.values[0] == results.learning.test.of("federated").macro
    assert results.aggregation.seeds == (results.config.seed, results.config.seed + 1)


def test_the_runs_own_weighting_on_its_last_updates_gives_its_adapter(results: BenchmarkResults) -> None:
    assert results.learning is not None and results.learning.test is not None and results.aggregation is not None
    same = {one.weighting: one for one in results.aggregation.same_updates}

    assert same["agent"].weights == results.aggregation.rounds[-1].weights
    assert same["agent"].macro == pytest.approx(results.learning.test.of("federated").macro, rel=1e-6)
    assert {"samples", "equal", "median", "fedlaw", "krum"} <= same.keys()


def test_seeds_differ_and_gains_are_paired(results: BenchmarkResults) -> None:
    assert results.aggregation is not None
    runs = {one.weighting: one for one in results.aggregation.full_runs}

    macro = runs["agent"].macro
    assert len(set(macro.values)) == 2
    assert macro.low is not None and macro.high is not None and macro.low < macro.mean < macro.high
    assert runs["samples"].gain.values == (0.0, 0.0)


def test_progress_never_goes_back_and_names_planned_items(full: list[AnyEvent]) -> None:
    started = next(event for event in full if isinstance(event, BenchmarkStarted))
    ticks = [event for event in full if isinstance(event, BenchmarkProgress)]

    assert ticks
    assert all(started.plan[tick.number].item == tick.item for tick in ticks)
    assert [tick.overall for tick in ticks] == sorted(tick.overall for tick in ticks)
    assert [event.suite for event in full if isinstance(event, SuiteMeasured)] == list(SUITES)


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory, model_cache: Path, tiny_model: Path) -> BenchmarkResults:
    """Of a run in which one hospital trains in each of two rounds, A at a lower rank, and nobody evaluates."""
    settings = {
        "model.source": str(tiny_model),
        "model.quantization": "none",
        "lora.rank": 2,
        "lora.hospital_ranks": {"A": 1},
        "training.rounds": 2,
        "training.local_steps": 2,
        "training.max_tokens": 48,
        "training.learning_rate": 0.02,
        "training.warmup_fraction": 0.0,
        "data.max_pairs": 8,
        "data.validation_pairs": 2,
        "aggregation.trust": "fixed",
        "federation.participation": 0.3,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDMED_HOME", str(tmp_path_factory.mktemp("partial-home")))
        patch.setenv("FEDMED_CACHE", str(model_cache))
        engine = Engine(attached=True)
        list(start_run(engine, StartRun(job="run", run="partial", config=load_config(overrides=settings))))
        asked = RunBenchmark(
            job="b", run="partial", suites=("learning", "aggregation"), seeds=2, test_pairs=2, weightings=("median", "fedlaw")
        )
        return finished_of([event for event in benchmark(engine, asked) if event is not None]).results


def test_weightings_that_the_runs_settings_forbid_are_left_out(partial: BenchmarkResults) -> None:
    assert partial.skipped == {} and partial.aggregation is not None

    compared = {one.weighting for one in partial.aggregation.same_updates}
    assert compared == {"agent", "samples", "equal", "inverse_loss", "loss_variance", "krum", "geometric_median"}
    assert {one.weighting for one in partial.aggregation.full_runs} == {"agent", "samples"}
    assert set(partial.aggregation.left_out) == {"median", "trimmed_mean", "fedlaw"}
    assert "fedlaw learns its weights from evaluations" in markdown(partial, "")


def test_weights_are_means_over_seeds_in_which_other_hospitals_rest(partial: BenchmarkResults) -> None:
    assert partial.aggregation is not None

    for one in partial.aggregation.full_runs:
        assert sum(one.weights.values()) == pytest.approx(1.0)


def test_a_hospital_that_never_trained_has_no_adapter_of_its_own(partial: BenchmarkResults) -> None:
    assert partial.learning is not None and partial.learning.test is not None
    base, local = partial.learning.test.of("base").losses, partial.learning.test.of("local").losses

    assert 0 < len([name for name in base if base[name] != local[name]]) < 3


# --- from the records ----------------------------------------------------------------------------------------------------------


def test_a_quick_benchmark_needs_no_model(finished: str) -> None:
    events = events_of(finished, quick=True)

    assert not [event for event in events if isinstance(event, ModelLoaded)]
    results = finished_of(events).results
    assert (set(results.measured), results.skipped, results.inference) == (set(QUICK), {}, None)


def test_its_folder_holds_every_file_and_the_json_reads_back(finished: str) -> None:
    written = finished_of(events_of(finished, quick=True))

    folder = Path(written.folder)
    assert {file.name for file in folder.iterdir()} == FILES
    assert replace(saved.load(folder), privacy=None) == replace(written.results, privacy=None)
    assert [path for path, _ in saved.list_results()] == [folder]


def test_nothing_but_adapters_numbers_and_names_crossed_in_a_real_run(results: BenchmarkResults) -> None:
    assert results.privacy is not None and results.efficiency is not None

    assert results.privacy.raw_values_sent == 0
    assert {row.kind for row in results.privacy.traffic} == {"adapter", "number", "name"}
    assert {row.round for row in results.privacy.traffic} == {0, 1, 2}
    assert results.privacy.bytes_per_round("up") == 3 * results.efficiency.run.adapter_bytes


def test_a_quick_benchmark_keeps_what_the_full_one_measured(
    results: BenchmarkResults, finished: str, measured_home: Path, home: Path
) -> None:
    shutil.copytree(measured_home / "benchmark_results", home / "benchmark_results")

    quick = finished_of(events_of(finished, quick=True)).results

    assert quick.quick
    assert (quick.learning, quick.inference) == (results.learning, results.inference)
    assert quick.earlier.startswith(finished)


# --- when something is amiss ---------------------------------------------------------------------------------------------------


def test_a_missing_data_set_skips_its_suite_and_says_why(finished: str, tmp_path: Path) -> None:
    results = finished_of(events_of(finished, suites=("efficiency", "safety"), public_data=str(tmp_path))).results

    assert results.efficiency is not None
    assert "med_safety.jsonl.gz is not there" in results.skipped["safety"]


def test_a_run_whose_checkpoints_are_gone_keeps_its_other_suites(finished: str) -> None:
    shutil.rmtree(locations.run_folder(finished) / "rounds")

    results = finished_of(events_of(finished, suites=("efficiency", "aggregation"))).results

    assert results.efficiency is not None
    assert "rounds/001" in results.skipped["aggregation"]


def test_an_unknown_weighting_is_named(finished: str) -> None:
    with pytest.raises(SettingsError, match="no weighting 'best'"):
        events_of(finished, suites=("aggregation",), weightings=("best",))


def test_a_run_without_a_finished_round_cannot_be_measured(finished: str) -> None:
    events = locations.run_folder(finished) / "events.jsonl"
    lines = events.read_bytes().splitlines(keepends=True)
    events.write_bytes(b"".join(line for line in lines if b'"RoundFinished"' not in line))

    with pytest.raises(RunError, match="not finished a round"):
        events_of(finished, quick=True)


@pytest.mark.parametrize("what", ["base model", "quantization"])
def test_another_model_or_precision_than_the_run_was_trained_with_is_not_measured(
    finished: str, tiny_model: Path, tmp_path: Path, what: str
) -> None:
    source = Path(shutil.copytree(tiny_model, tmp_path / "tiny"))
    manifest = locations.run_folder(finished) / "manifest.json"
    text = manifest.read_text().replace(str(tiny_model), str(source))
    if what == "base model":
        shift_weights(source)
    else:
        text = text.replace('"quantization": "none"', '"quantization": "nf4"')
    manifest.write_text(text)

    with pytest.raises(RunError, match=f"it was trained with {what} .+, now it is "):
        events_of(finished, suites=("learning",))


def test_no_other_base_model_is_loaded_while_a_run_is_measured(finished: str) -> None:
    engine = Engine(attached=True)
    job = benchmark(engine, RunBenchmark(job="b", run=finished, suites=("learning",), test_pairs=4))
    next(event for event in job if isinstance(event, BenchmarkStarted))

    with pytest.raises(ModelError, match=finished):
        list(ensure_bank(engine, "chat", ModelSettings(source="bundled")))

    job.close()
    assert engine.holder == ""


def test_a_cancelled_benchmark_leaves_nothing(finished: str) -> None:
    job = benchmark(Engine(attached=True), RunBenchmark(job="b", run=finished, suites=("learning",), test_pairs=4))
    next(event for event in job if isinstance(event, BenchmarkProgress))

    with pytest.raises(Cancelled):
        job.throw(Cancelled())

    assert not locations.benchmarks_folder().exists()
