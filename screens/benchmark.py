"""The Benchmark screen: every figure of the run, measured or as its record tells it so far, and earlier results beside them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from engine.errors import FedMedError
from engine.files import write_atomically
from fedmed_tui.benchmark_desk import Saved
from fedmed_tui.widgets.benchmark.aggregation import ResultWeights, Weightings
from fedmed_tui.widgets.benchmark.efficiency import Sizes
from fedmed_tui.widgets.benchmark.headlines import Headlines
from fedmed_tui.widgets.benchmark.inference import WaitingTimes
from fedmed_tui.widgets.benchmark.knowledge import Scores
from fedmed_tui.widgets.benchmark.learning import Arms, LearningChart
from fedmed_tui.widgets.benchmark.privacy import PrivacySentences
from fedmed_tui.widgets.benchmark.progress import Measuring
from fedmed_tui.widgets.benchmark.safety import Guardrails
from fedmed_tui.widgets.benchmark.speed import TrainingSpeed
from fedmed_tui.widgets.panel import Deck, Panel
from fedmed_tui.widgets.text import one_line, safe
from screens.base import ModeScreen
from screens.comparison import ComparisonScreen
from screens.dialog import one_at_a_time
from screens.measure import MeasureScreen
from screens.snapshots import SnapshotsScreen

PICTURE = "screen.svg"


class BenchmarkScreen(ModeScreen):
    """Look at the figures, measure the run, compare with earlier results."""

    MODE = "benchmark"
    APP_KEYS = frozenset(("run.start", "run.stop", "engine.restart", "export", "help"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "measure", "Measure", id="benchmark.measure", tooltip="the run on the screens: quick, or in full"),
        Binding("x", "stop_measuring", "Cancel", id="benchmark.stop", tooltip="stop the benchmark; nothing is written"),
        Binding("o", "open_snapshot", "Snapshots", id="benchmark.open", tooltip="earlier results: look at them, or compare"),
        Binding("d", "differences", "Differences", id="benchmark.diff", tooltip="every figure beside the earlier results"),
    ]
    DEFAULT_CSS = """
    BenchmarkScreen {
        #headlines { height: 6; }
        &.-comparing #headlines { height: 7; }
        #measuring { height: auto; max-height: 8; display: none; }
        &.-measuring #measuring, &.-noted #measuring { display: block; }
        #figures { height: 1fr; }
        LearningChart, ResultWeights { min-height: 6; }
        Arms, Weightings { margin-top: 1; }
    }
    BenchmarkScreen.-wide {
        Deck { layout: grid; grid-size: 3 24; grid-rows: 1fr; }
        Deck > Panel { height: 100%; }
        #learning, #aggregation { row-span: 14; }
        #inference, #knowledge { row-span: 10; }
        #efficiency { row-span: 7; }
        #privacy { row-span: 8; }
        #speed { row-span: 4; }
        #safety { row-span: 5; }
    }
    BenchmarkScreen.-medium #learning, BenchmarkScreen.-medium #aggregation {
        layout: horizontal;
        Arms, Weightings { width: 1fr; margin: 0 0 0 2; }
        LearningChart, ResultWeights { width: 1fr; }
    }
    BenchmarkScreen.-medium.-measuring #headlines, BenchmarkScreen.-small #headlines { display: none; }
    """

    def body(self) -> Iterable[Widget]:
        """Headlines above, one panel a suite below them."""
        workspace = self.workspace
        yield Panel("This run", Headlines(workspace), id="headlines")
        yield Panel("Measuring", Measuring(workspace), id="measuring")
        deck = Deck(
            Panel("Held-out loss", LearningChart(workspace), Arms(workspace), tab="Learning", id="learning"),
            Panel("Aggregation", ResultWeights(workspace), Weightings(workspace), tab="Weights", id="aggregation"),
            Panel("Efficiency", Sizes(workspace), tab="Size", id="efficiency"),
            Panel("Privacy", PrivacySentences(workspace), id="privacy"),
            Panel("Inference", WaitingTimes(workspace), tab="Answers", id="inference"),
            Panel("Medical knowledge", Scores(workspace), tab="Medicine", id="knowledge"),
            Panel("Speed", TrainingSpeed(workspace), id="speed"),
            Panel("Safety", Guardrails(workspace), id="safety"),
        )
        yield Container(deck, id="figures")

    def show_state(self) -> None:
        """Say whose figures these are, then draw."""
        desk, run = self.workspace.benchmarks, self.workspace.run
        self.set_class(desk.going is not None, "-measuring")
        self.set_class(desk.before is not None, "-comparing")
        self.set_class(desk.going is None and bool(desk.note), "-noted")
        self.query_one("#measuring", Panel).border_title = "Measuring" if desk.going is not None else "Last benchmark"
        headlines = self.query_one("#headlines", Panel)
        shown = desk.shown(run)
        headlines.border_title = one_line(self._whose(shown), 60)
        compared = desk.before
        headlines.border_subtitle = one_line(f"against {compared.folder.name} · d all differences", 70) if compared else ""
        self._look_up(run.run)
        super().show_state()
        if self._to_be_pictured is not None:
            self.call_after_refresh(self._take_picture)

    def _whose(self, shown: Saved | None) -> str:
        desk, run = self.workspace.benchmarks, self.workspace.run
        if desk.going is not None:
            return f"Run {run.run}, being measured"
        if shown is None:
            return f"Run {run.run}, from its record" if run.run else "No run yet"
        kind = "quick" if shown.results.quick else "full"
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(shown.results.created))
        return f"Run {shown.results.run}, {kind} benchmark of {when}"

    def key_state(self) -> tuple[object, ...]:
        """Also the benchmark in progress, and whether there is something to compare."""
        desk = self.workspace.benchmarks
        return *super().key_state(), desk.going is None, desk.stopping, self._comparable

    @property
    def _comparable(self) -> bool:
        desk = self.workspace.benchmarks
        return desk.before is not None and desk.results(self.workspace.run) is not None

    def makes_sense(self, action: str) -> bool:
        """One benchmark at a time."""
        desk = self.workspace.benchmarks
        if action == "measure":
            return desk.going is None and self.workspace.status.ready
        if action == "stop_measuring":
            return desk.going is not None and not desk.stopping
        if action == "differences":
            return self._comparable
        return True

    @work(group="look-up")
    async def _look_up(self, run: str) -> None:
        await self.workspace.benchmarks.look_up(run)

    @one_at_a_time("benchmark")
    async def action_measure(self) -> None:
        """Ask what to measure, then do it."""
        run = self.workspace.run
        if not run.completed:
            self.notify("Start a run or open one: a finished round is needed.", title="Nothing to measure", severity="warning")
            return
        request = await self.app.push_screen_wait(MeasureScreen(run.run))
        if request is not None:
            self.workspace.benchmarks.measure(request)

    @work(exclusive=True, group="stop")
    async def action_stop_measuring(self) -> None:
        """Stop at once."""
        await self.workspace.benchmarks.stop()

    @one_at_a_time("benchmark")
    async def action_open_snapshot(self) -> None:
        """Choose earlier results, to look at or to compare with."""
        desk, run = self.workspace.benchmarks, self.workspace.run
        chosen = await self.app.push_screen_wait(SnapshotsScreen(desk.before))
        if chosen is None:
            return
        what, saved = chosen
        if what == "open" and saved is not None:
            desk.choose(run, saved)
        elif what == "compare":
            desk.compare_with(saved)
            if saved is not None and desk.results(run) is not None:
                self.action_differences()

    def action_differences(self) -> None:
        """Every figure beside the earlier one."""
        desk = self.workspace.benchmarks
        results, before = desk.results(self.workspace.run), desk.before
        if results is not None and before is not None:
            self.app.push_screen(ComparisonScreen(before, results))

    @property
    def _to_be_pictured(self) -> Saved | None:
        """Results that wait for a picture, where nothing but them is to be seen."""
        desk, waiting = self.workspace.benchmarks, self.workspace.benchmarks.unpictured
        seen = self.is_current and desk.going is None and desk.shown(self.workspace.run) is waiting
        return waiting if seen else None

    @work(exclusive=True, group="picture")
    async def _take_picture(self) -> None:
        """Put a picture of this screen beside the results that were just written."""
        pictured = self._to_be_pictured
        if pictured is None:  # something has come between
            return
        self.workspace.benchmarks.unpictured = None
        picture = self.app.export_screenshot(title=f"fedmed-tui: {pictured.folder.name}")
        try:
            await asyncio.to_thread(write_atomically, pictured.folder / PICTURE, picture.encode())
        except FedMedError as error:
            self.notify(safe(str(error)), title=error.title, severity="error", markup=False)
