"""The folder of a benchmark: JSON, CSV, report and figure, there complete or not at all."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from engine import locations
from engine.benchmark.metrics import to_csv
from engine.benchmark.report import markdown
from engine.benchmark.results import BenchmarkResults
from engine.benchmark.saved import FILE, to_json
from engine.files import disk_error

FIGURE = "benchmark_visualization.png"


def write(results: BenchmarkResults) -> Path:
    """Write `benchmark_results/<run>-<time>/` and return it. Raises RunError when the disk refuses."""
    from engine.benchmark.figure import draw  # loads matplotlib

    parent = locations.benchmarks_folder()
    name = f"{results.run}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(results.created))}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".writing-", dir=parent))
        try:
            (work / FILE).write_bytes(to_json(results))
            (work / "benchmark_results.csv").write_text(to_csv(results), encoding="utf-8")
            (work / "BENCHMARK_REPORT.md").write_text(markdown(results, figure=FIGURE), encoding="utf-8")
            draw(results, work / FIGURE)
            work.chmod(0o755)  # mkdtemp makes it private; a report is for colleagues too
            return work.rename(_free(parent, name))
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    except OSError as error:
        raise disk_error(parent, error) from None


def _free(parent: Path, name: str) -> Path:
    """A name that is not taken."""
    target, number = parent / name, 1
    while target.exists():
        number += 1
        target = parent / f"{name}-{number}"
    return target
