"""The folder of a benchmark: JSON, CSV, report and figure, there complete or not at all."""

from __future__ import annotations

import time
from pathlib import Path

from engine import locations
from engine.benchmark.metrics import to_csv
from engine.benchmark.report import markdown
from engine.benchmark.results import BenchmarkResults
from engine.benchmark.saved import FILE, to_json
from engine.files import disk_error, write_folder

FIGURE = "benchmark_visualization.png"


def write(results: BenchmarkResults) -> Path:
    """Write `benchmark_results/<run>-<time>/` and return it. Raises RunError when the disk refuses."""
    from engine.benchmark.figure import draw  # loads matplotlib

    def fill(folder: Path) -> None:
        (folder / FILE).write_bytes(to_json(results))
        (folder / "benchmark_results.csv").write_text(to_csv(results), encoding="utf-8")
        (folder / "BENCHMARK_REPORT.md").write_text(markdown(results, figure=FIGURE), encoding="utf-8")
        draw(results, folder / FIGURE)

    parent = locations.benchmarks_folder()
    try:
        return write_folder(parent, f"{results.run}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(results.created))}", fill)
    except OSError as error:
        raise disk_error(parent, error) from None
