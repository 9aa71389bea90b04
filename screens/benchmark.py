"""The Benchmark screen: what is known of the run in numbers, so far or at its end."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from fedmed_tui.widgets.benchmark import Efficiency, Headlines, LossComparison
from fedmed_tui.widgets.chart import LossChart
from fedmed_tui.widgets.panel import Deck, Panel
from screens.base import ModeScreen


class BenchmarkScreen(ModeScreen):
    """Numbers of the run; `ctrl+e` writes them to a folder."""

    MODE = "benchmark"
    DEFAULT_CSS = """
    BenchmarkScreen {
        #headlines { height: 4; }
    }
    BenchmarkScreen.-wide Deck { layout: grid; grid-size: 2; grid-columns: 1fr 1fr; grid-rows: auto 1fr; }
    BenchmarkScreen.-wide #losses, BenchmarkScreen.-wide #efficiency { height: auto; }
    BenchmarkScreen.-wide #curve { column-span: 2; height: 1fr; min-height: 8; }
    """

    def body(self) -> Iterable[Widget]:
        """Headlines above, the rest below."""
        workspace = self.workspace
        headlines = Panel("This run", Headlines(workspace), id="headlines")
        headlines.border_subtitle = "ctrl+e writes JSON, CSV, Markdown and SVG"
        yield headlines
        yield Deck(
            Panel("Validation loss, base model against now", LossComparison(workspace), tab="Loss", id="losses"),
            Panel("Size and speed", Efficiency(workspace), id="efficiency"),
            Panel("By round", LossChart(workspace), id="curve"),
        )
