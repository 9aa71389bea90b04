"""A benchmark asked for on the Benchmark screen, over the real engine process."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from engine.benchmark import saved
from fedmed_tui import runs
from fedmed_tui.app import FedMedApp
from screens.measure import MeasureScreen

PATIENCE = 120.0
"""Seconds to wait at most for one thing; a loaded machine is slow, not wrong."""
FILES = {"benchmark_results.json", "benchmark_results.csv", "BENCHMARK_REPORT.md", "benchmark_visualization.png", "screen.svg"}


async def until(pilot: Pilot[None], what: Callable[[], object]) -> None:
    """Wait until `what()` is true."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "waited too long"
        await pilot.pause(0.05)


async def test_a_quick_benchmark_leaves_every_file_and_a_picture_of_the_screen(finished: str, home: Path) -> None:
    app = FedMedApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.workspace.status.ready)
        app.workspace.show_run(runs.load_state(finished))
        await pilot.press("4", "m")
        await until(pilot, lambda: isinstance(app.screen, MeasureScreen))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.workspace.benchmarks.shown(app.run_state) and not app.workspace.benchmarks.going)
        [(folder, results)] = saved.list_results()
        await until(pilot, (folder / "screen.svg").exists)
        await app.workspace.close()

    assert {file.name for file in folder.iterdir()} == FILES
    assert (results.run, results.quick) == (finished, True)
    assert "raw pairs sent" in (folder / "screen.svg").read_text(encoding="utf-8").replace("&#160;", " ")
