"""`fedmed-tui benchmark`: measure a run, list what was measured, compare two results."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.console import Console
from rich.markdown import Markdown

from engine.benchmark import saved
from engine.benchmark.compare import compare, gone_suites
from engine.benchmark.report import markdown
from engine.benchmark.results import SUITES, BenchmarkResults, Suite
from engine.errors import FedMedError, RunError, SettingsError
from engine.files import write_atomically
from engine.plain_text import on_one_line, printable
from engine.protocol import RunBenchmark, Stamped
from fedmed_tui import runs
from fedmed_tui.benchmarking import Benchmarking
from fedmed_tui.cli import DONE, FAILED
from fedmed_tui.cli.benchmark_output import BenchmarkOutput
from fedmed_tui.cli.output import print_json
from fedmed_tui.cli.session import OnEvent, run_job
from fedmed_tui.cli.tables import add_row, console, new_table
from fedmed_tui.differences import MARKS, change, figure
from fedmed_tui.units import duration

JOB = "benchmark"
SCREEN = "screen.svg"
SCREEN_WIDTH = 110
PLAIN = RunBenchmark(job=JOB, run="")

benchmark_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None, help="Measure a run and write it down.")


@benchmark_app.callback()
def benchmark(
    context: typer.Context,
    *,
    run: Annotated[str, typer.Option(metavar="RUN", help="Which run.", show_default="the latest with adapters")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="From the run's records, without loading a model.")] = False,
    suite: Annotated[
        list[str] | None, typer.Option(metavar="SUITE", help=f"Only this; may be repeated: {', '.join(SUITES)}.")
    ] = None,
    gpu: Annotated[int | None, typer.Option(metavar="N", min=0, help="Compute on this CUDA card.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Complete runs per weighting.")] = PLAIN.seeds,
    weightings: Annotated[str, typer.Option(metavar="A,B", help="Compared on complete runs.")] = ",".join(PLAIN.weightings),
    test_pairs: Annotated[int, typer.Option(min=0, help="Test pairs per hospital; 0 is all.")] = PLAIN.test_pairs,
    items: Annotated[int, typer.Option(min=0, help="Multiple-choice questions per set; 0 is all.")] = PLAIN.items,
    answers: Annotated[int, typer.Option(min=0, help="Free answers per hospital.")] = PLAIN.answers,
    public_data: Annotated[
        str, typer.Option(metavar="FOLDER", help="Public evaluation sets.", show_default="data/public, or beside the checkout")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Standard output is the engine's events, one a line.")] = False,
) -> int:
    """Measure a run and write JSON, CSV, a report and a figure below benchmark_results/.

    The full benchmark trains again, to compare: minutes. --quick takes seconds. Ctrl+C stops and writes nothing.
    """
    if context.invoked_subcommand:
        return DONE
    _choose_card(gpu)
    suites = _suites(suite or [])
    request = RunBenchmark(
        job=JOB,
        run=_run(run),
        quick=quick,
        suites=suites,
        seeds=seeds,
        weightings=tuple(name.strip() for name in weightings.split(",") if name.strip()),
        test_pairs=test_pairs,
        items=items,
        answers=answers,
        public_data=public_data,
        gpu=gpu,
    )
    state = Benchmarking(JOB)
    with _printing_json(state) if as_json else BenchmarkOutput(state) as output:
        code = run_job(request, output)
    if state.results is not None and state.folder:
        report, folder = _report(state.results), Path(state.folder)
        _write_screen(report, state.results.run, folder)
        if not as_json:
            _show(report, folder)
    return code


@benchmark_app.command("list")
def list_results() -> None:
    """List earlier results, newest first."""
    found = saved.list_results()
    if not found:
        print("No results yet. `fedmed-tui benchmark` makes some.", file=sys.stderr)
        return
    table = new_table("results", "run", "measured", "kind", "took", right=["took"])
    for folder, results in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(results.created))
        kind = "quick" if results.quick else "full"
        add_row(table, folder.name, results.run, when, kind, duration(results.seconds))
    console().print(table)


Result = Annotated[str, typer.Argument(help="Results: a folder of benchmark_results/, a file, or a run's name.")]


@benchmark_app.command()
def diff(
    before: Result,
    after: Result,
    *,
    tolerance: Annotated[float, typer.Option(metavar="PERCENT", min=0, help="A figure may be worse by so much.")] = 5.0,
    everything: Annotated[bool, typer.Option("--all", help="List figures that are the same, too.")] = False,
) -> int:
    """Compare two results.

    Exit code 1 when a figure is worse by more than the tolerance, or AFTER lacks a suite that BEFORE has.
    """
    old, new = (saved.load(saved.find(name)) for name in (before, after))
    found = list(compare(old, new))
    table = new_table("figure", "about", "before", "after", "change", "", right=["before", "after", "change"])
    for one in found:
        if everything or one.verdict != "same":
            metric = one.metric
            mark = f"{MARKS[one.verdict]}{' ✘' if one.regressed(tolerance / 100) else ''}"
            name = f"{metric.suite}: {metric.name.replace('_', ' ')}"
            add_row(table, name, metric.subject, figure(one.before), figure(one.after), change(one), mark)
    console().print(table)
    regressed = [one for one in found if one.regressed(tolerance / 100)]
    same, gone = (sum(one.verdict == verdict for one in found) for verdict in ("same", "gone"))
    print(f"{len(regressed)} worse by more than {tolerance:g} %, {same} the same, {gone} gone, {len(found)} figures.")
    unmeasured = gone_suites(old, new)
    for suite in unmeasured:
        why = new.skipped.get(suite, "it was not asked for.")
        print(on_one_line(f"The suite {suite} was measured in {before} and is not in {after}: {why}"))
    return FAILED if regressed or unmeasured else DONE


def _choose_card(gpu: int | None) -> None:
    """Let the engine see one CUDA card alone. Raises SettingsError when there is none."""
    if gpu is None:
        return
    if shutil.which("nvidia-smi") is None:
        raise SettingsError("there is no NVIDIA card here.", where="--gpu", hint="Leave --gpu out: the CPU does the work.")
    os.environ["CUDA_VISIBLE_DEVICES"] = str(gpu)


def _run(name: str) -> str:
    """The run that is meant. Raises RunError when there is no such run, or none at all."""
    manifest = runs.load_manifest(name) if name else runs.latest_trained()
    if manifest is None:
        raise RunError("no run has left adapters yet.", where="--run", hint="`fedmed-tui train` makes one.")
    return manifest.run


def _suites(names: list[str]) -> tuple[Suite, ...]:
    for name in names:
        if name not in get_args(Suite):
            raise SettingsError(f"there is no suite '{name}'.", where="--suite", hint=f"Choose of: {', '.join(SUITES)}.")
    return cast("tuple[Suite, ...]", tuple(names))


@contextmanager
def _printing_json(state: Benchmarking) -> Iterator[OnEvent]:
    """Events as JSON, which the state takes too."""

    def take(stamped: Stamped) -> None:
        state.take(stamped.event)
        print_json(stamped)

    yield take


def _report(results: BenchmarkResults) -> str:
    """For a terminal: without the figure."""
    return "\n".join(line for line in printable(markdown(results, "")).splitlines() if not line.startswith("!["))


def _show(report: str, folder: Path) -> None:
    """The report on standard output, and where it lies."""
    if sys.stdout.isatty():
        console().print(Markdown(report))
    else:
        print(report)
    print(folder)


def _write_screen(report: str, run: str, folder: Path) -> None:
    """A picture of the report beside the other files."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        paper = Console(record=True, file=nowhere, width=SCREEN_WIDTH, force_terminal=True, color_system="truecolor")
        paper.print(Markdown(report))
    try:
        write_atomically(folder / SCREEN, paper.export_svg(title=f"fedmed-tui benchmark --run {run}").encode())
    except FedMedError as error:  # the results themselves are safe
        print(on_one_line(f"{SCREEN} could not be written: {error}"), file=sys.stderr)
