"""Results on disk: `benchmark_results/<run>-<time>/benchmark_results.json`. Read by both processes; no tensor library here."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from engine import locations, strict_json
from engine.benchmark.metrics import to_csv
from engine.benchmark.report import markdown
from engine.benchmark.results import SCHEMA, SUITES, BenchmarkResults
from engine.benchmark_messages import RunBenchmark
from engine.errors import RunError
from engine.files import read_regular

FILE = "benchmark_results.json"
MAX_BYTES = 2**26
"""Every round's traffic of a thousand hospitals stays below."""
Section = TypeVar("Section", bound=msgspec.Struct)


def to_json(results: BenchmarkResults) -> bytes:
    """The whole of it, indented, with a last newline."""
    return msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n"


def load(path: Path) -> BenchmarkResults:
    """Results from a file or from the folder it lies in.

    Raises:
        RunError: there is none, it is damaged or of another schema; says which.
    """
    file = path / FILE if path.is_dir() else path
    try:
        data = read_regular(file, MAX_BYTES)
        schema = strict_json.decode(data, _schema_decoder).schema
        if schema != SCHEMA:
            raise RunError(
                f"has schema {schema}, this program reads {SCHEMA}.",
                where=str(file),
                hint="Measure the run again, or use the version of fedmed-tui that wrote it.",
            )
        results = strict_json.decode(data, _decoder)
        _tell(results)
    except OSError as error:
        hint = "`fedmed-tui benchmark list` names what there is."
        raise RunError(f"there are no results: {error.strerror}.", where=str(file), hint=hint) from None
    except ValueError as error:
        raise RunError(f"is damaged: {error}.", where=str(file), hint="Measure the run again.") from None
    return results


def _tell(results: BenchmarkResults) -> None:
    """Raise ValueError when the figures do not belong together, so that no report can be made of them."""
    try:
        to_csv(results), markdown(results, "")
    except (ArithmeticError, LookupError, StopIteration, RuntimeError):
        raise ValueError("its figures contradict each other") from None


def find(name: str) -> Path:
    """The results that a person means: a folder's name in `benchmark_results/`, a path, or a run (its newest results).

    Raises:
        RunError: nothing of that name.
    """
    by_name = locations.benchmarks_folder() / name
    for path in (by_name, Path(name).expanduser()):
        if (path / FILE).is_file() or path.is_file():
            return path
    of_run = [folder for folder, results in list_results() if results.run == name]
    if of_run:
        return of_run[0]
    raise RunError("there are no such results.", where=name, hint="`fedmed-tui benchmark list` names what there is.")


def list_results() -> list[tuple[Path, BenchmarkResults]]:
    """Every readable result with its folder, newest first."""
    found = []
    for file in locations.benchmarks_folder().glob(f"*/{FILE}"):
        try:
            found.append((file.parent, load(file)))
        except RunError:
            continue
    return sorted(found, key=lambda one: (one[1].created, one[0].name), reverse=True)


def with_earlier(blank: BenchmarkResults) -> BenchmarkResults:
    """The sections of the newest full benchmark of the same run at the same round, where there is one."""
    for folder, earlier in list_results():
        same = (earlier.run, earlier.rounds, earlier.config, earlier.model_digest)
        if not earlier.quick and same == (blank.run, blank.rounds, blank.config, blank.model_digest):
            sections = {suite: getattr(earlier, suite) for suite in SUITES}
            return replace(blank, earlier=folder.name, measured=earlier.measured, skipped=earlier.skipped, **sections)
    return blank


def completed(earlier: Section | None, section: Section) -> Section:
    """A new section, with what it leaves open taken from an earlier one."""
    if earlier is None:
        return section
    open_fields = (name for name in section.__struct_fields__ if getattr(section, name) in (None, (), {}))
    return replace(section, **{name: getattr(earlier, name) for name in open_fields})


def command_line(request: RunBenchmark) -> str:
    """The command that asks for the same."""
    words = ["fedmed-tui", "benchmark", "--run", request.run]
    words += ["--quick"] if request.quick else []
    for suite in request.suites:
        words += ["--suite", suite]
    if not request.quick:
        plain = RunBenchmark(job="", run="")
        for name in ("seeds", "test_pairs", "items", "answers", "public_data", "gpu"):
            if getattr(request, name) != getattr(plain, name):
                words += [f"--{name.replace('_', '-')}", str(getattr(request, name))]
        if request.weightings != plain.weightings:
            words += ["--weightings", ",".join(request.weightings)]
    return shlex.join(words)


class _Schema(msgspec.Struct):
    schema: int


_decoder = msgspec.json.Decoder(BenchmarkResults)
_schema_decoder = msgspec.json.Decoder(_Schema)
