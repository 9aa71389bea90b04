"""How the tests of the Benchmark screen get it into a state, and read it."""

from __future__ import annotations

from pathlib import Path

import script
from conftest import redraw, tell, text_of, until
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import DataTable, Digits, Select

from engine.benchmark.results import BenchmarkResults
from engine.benchmark.write import write
from engine.protocol import Stamped
from fedmed_tui.app import FedMedApp
from fedmed_tui.benchmark_desk import Saved
from fedmed_tui.widgets.panel import Deck
from screens.measure import MeasureScreen
from screens.snapshots import SnapshotsScreen
from tests.benchmark import samples

FOLDER = Path("benchmark_results/demo-1-20251124-160000")
PANELS = ("learning", "aggregation", "efficiency", "privacy", "inference", "knowledge", "speed", "safety")


async def show(pilot: Pilot[None], results: BenchmarkResults | None = None, events: list[Stamped] | None = None) -> None:
    """The Benchmark screen after a run, with results that are looked at."""
    app = pilot.app
    assert isinstance(app, FedMedApp)
    await tell(pilot, script.session_events() if events is None else events)
    if results is not None:
        app.workspace.benchmarks.choose(app.run_state, Saved(FOLDER, results))
    await pilot.press("4")
    await redraw(pilot)


async def show_panel(pilot: Pilot[None], name: str) -> str:
    """What the screen shows with one panel in front."""
    pilot.app.screen.query_one(Deck).chosen = PANELS.index(name)
    await redraw(pilot)
    return flat(pilot)


def flat(pilot: Pilot[None]) -> str:
    """The screen's words with frames and line breaks taken out."""
    return " ".join(text_of(pilot).replace("│", " ").split())


def heads(pilot: Pilot[None]) -> list[str]:
    """The big figures."""
    return [one.value for one in pilot.app.screen.query(Digits) if one.value and one.region.height]


async def trained(pilot: Pilot[None], app: FedMedApp) -> None:
    """The Benchmark screen after a run of the fake engine."""
    await until(pilot, lambda: app.workspace.status.ready)
    await pilot.press("s")
    await until(pilot, lambda: app.run_state.finished and not app.workspace.training)
    await pilot.press("4")
    await redraw(pilot)


async def measure(pilot: Pilot[None], app: FedMedApp, *, full: bool = False) -> None:
    """Open the dialog, choose, and begin. A quick benchmark may be over before anybody looks."""
    desk = app.workspace.benchmarks
    await pilot.press("m")
    await until(pilot, lambda: isinstance(app.screen, MeasureScreen))
    if full:
        app.screen.query_one("#kind", Select).value = "full"
        await pilot.pause()
    await pilot.press("ctrl+s")
    await until(pilot, lambda: desk.going is not None or desk.note)


def earlier(run: str = "first", **changes: object) -> Path:
    """Results of another run on disk, older than those of `samples` and a little worse at answering."""
    slower = replace(samples.inference(), warm_first_token_seconds=samples.spread(0.08))
    return write(samples.results(run, created=1_763_000_000.0, inference=slower, **changes))


async def choose(pilot: Pilot[None], key: str, row: int = 0) -> None:
    """Open the list of snapshots, go to a row and press a key."""
    await pilot.press("o")
    await until(pilot, lambda: isinstance(pilot.app.screen, SnapshotsScreen))
    await until(pilot, lambda: pilot.app.screen.query_one(DataTable).row_count > row)
    pilot.app.screen.query_one(DataTable).move_cursor(row=row)
    await pilot.press(key)
    await pilot.pause()
