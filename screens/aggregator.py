"""The Aggregator screen: how much each hospital counts, round by round, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from fedmed_tui.widgets.chart import WeightChart
from fedmed_tui.widgets.panel import Deck, Panel
from fedmed_tui.widgets.weights import Reason, RoundFigure, WeightBars, WeightTable, aggregated_rounds
from screens.base import ModeScreen


class AggregatorScreen(ModeScreen):
    """Look at the weights of any round."""

    MODE = "aggregator"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Earlier round", show=False, id="round.earlier", tooltip="the weights of the round before"),
        Binding("right", "step(1)", "Later round", show=False, id="round.later", tooltip="the weights of the round after"),
    ]
    DEFAULT_CSS = """
    AggregatorScreen {
        #bars { height: auto; max-height: 50%; }
        #lower { height: 1fr; layout: horizontal; }
        Deck { height: 1fr; }
    }
    AggregatorScreen.-wide Deck { layout: horizontal; }
    AggregatorScreen.-wide #reason { width: 2fr; }
    AggregatorScreen.-wide #by-round { width: 3fr; }
    AggregatorScreen.-wide #table { width: 2fr; }
    """

    def body(self) -> Iterable[Widget]:
        """The chosen round above, all rounds below."""
        workspace = self.workspace
        yield Panel("Weights", WeightBars(workspace), id="bars")
        deck = Deck(
            Panel("Reason", Reason(workspace), id="reason"),
            Panel("Weights by round", WeightChart(workspace), tab="By round", id="by-round"),
            Panel("Table", WeightTable(workspace), id="table"),
        )
        yield Container(deck, id="lower")

    def show_state(self) -> None:
        """Say which round is shown, then draw."""
        known = aggregated_rounds(self.workspace.run)
        panel = self.query_one("#bars", Panel)
        if known:
            shown = self.query_one(WeightBars).round_state
            number = shown.number if shown else known[-1]
            panel.border_title = f"Weights in round {number}"
            panel.border_subtitle = "◂ ▸ choose the round" if len(known) > 1 else ""
        super().show_state()

    def action_step(self, by: int) -> None:
        """Choose the round before or after the shown one; past the last one, follow the run."""
        known = aggregated_rounds(self.workspace.run)
        shown = self.query_one(WeightBars).round_state
        if not known or shown is None:
            return
        at = min(max(known.index(shown.number) + by, 0), len(known) - 1)
        for figure in self.query(".figure"):
            if isinstance(figure, RoundFigure):
                figure.chosen = None if at == len(known) - 1 else known[at]
        self.show_state()
