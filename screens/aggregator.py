"""The Aggregator screen: how much each hospital counts, round by round, why, and what if it were otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from fedmed_tui.widgets.candidates import Candidates
from fedmed_tui.widgets.method import Method, in_short
from fedmed_tui.widgets.panel import Deck, Panel
from fedmed_tui.widgets.reasons import Reasons
from fedmed_tui.widgets.weight_chart import WeightChart
from fedmed_tui.widgets.weights import RoundFigure, WeightBars, aggregated_rounds
from fedmed_tui.widgets.what_if import WhatIfBars
from screens.base import ModeScreen
from screens.dialog import one_at_a_time
from screens.rules import RulesScreen


class AggregatorScreen(ModeScreen):
    """Look at the weights of any round, ask what if, choose the rules of the next run."""

    MODE = "aggregator"
    APP_KEYS = frozenset(("run.start", "run.stop", "engine.restart", "export", "help"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Earlier round", show=False, id="round.earlier", tooltip="the weights of the round before"),
        Binding("right", "step(1)", "Later round", show=False, id="round.later", tooltip="the weights of the round after"),
        Binding("w", "what_if", "What if", id="what-if", tooltip="try other weights; the run is not changed"),
        Binding("m", "choose_rules", "Method", id="rules", tooltip="weighting, combine rule and trust of the next run"),
    ]
    DEFAULT_CSS = """
    AggregatorScreen {
        #bars { height: auto; max-height: 50%; }
        #lower { height: 1fr; }
        #what-if:focus-within { border: round $accent; }
    }
    AggregatorScreen.-wide {
        Deck { layout: grid; grid-size: 2 3; grid-columns: 3fr 5fr; grid-rows: 4fr 3fr 4fr; }
        Deck > Panel { height: 100%; }
        #by-round { row-span: 2; }
    }
    """

    def body(self) -> Iterable[Widget]:
        """The chosen round above; below it why, what else was tried, all rounds, what if, and the rules."""
        workspace = self.workspace
        yield Panel("Weights", WeightBars(workspace), id="bars")
        what_if = Panel("What if", WhatIfBars(workspace), id="what-if")
        what_if.can_focus = False  # its bars have the focus
        deck = Deck(
            Panel("Why", Reasons(workspace), id="why"),
            Panel("Candidates", Candidates(workspace), id="candidates"),
            Panel("Weights by round", WeightChart(workspace), tab="By round", id="by-round"),
            what_if,
            Panel("Method", Method(workspace), id="method"),
        )
        yield Container(deck, id="lower")

    def show_state(self) -> None:
        """Say which round is shown, then draw."""
        known = aggregated_rounds(self.workspace.run)
        panel = self.query_one("#bars", Panel)
        panel.border_title, panel.border_subtitle = "Weights", ""
        if known:
            shown = self.query_one(WeightBars).round_state
            panel.border_title = f"Weights in round {shown.number if shown else known[-1]}"
            panel.border_subtitle = "◂ ▸ choose the round" if len(known) > 1 else ""
        next_run = in_short(self.workspace.config.aggregation)
        self.query_one("#method", Panel).border_subtitle = f"m next run: {next_run}"
        self._title_what_if()
        super().show_state()

    def on_descendant_focus(self) -> None:
        """The arrow keys may mean something else now."""
        self._title_what_if()

    def on_descendant_blur(self) -> None:
        """The arrow keys may mean something else now."""
        self._title_what_if()

    def _title_what_if(self) -> None:
        """Say what the keys do now."""
        run, panel = self.workspace.run, self.query_one("#what-if", Panel)
        asked = bool(self.workspace.what_if.used(run))
        panel.border_title = f"What if, in round {run.completed}" if asked else "What if"
        keys = "▴ ▾ hospital · ◂ ▸ weight · ⏎ evaluate" if self.query_one(WhatIfBars).has_focus else "w try other weights"
        panel.border_subtitle = keys if asked else ""

    def action_step(self, by: int) -> None:
        """Choose the round before or after the shown one; past the last one, follow the run."""
        known = aggregated_rounds(self.workspace.run)
        shown = self.query_one(WeightBars).round_state
        if not known or shown is None:
            return
        at = min(max(known.index(shown.number) + by, 0), len(known) - 1)
        for figure in self.query(".figure"):
            if isinstance(figure, RoundFigure):
                figure.choose(None if at == len(known) - 1 else known[at])
        self.show_state()

    def action_what_if(self) -> None:
        """Go to the what-if line."""
        deck, panel = self.query_one(Deck), self.query_one("#what-if", Panel)
        deck.chosen = list(deck.query(Panel)).index(panel)
        self.call_after_refresh(self.query_one(WhatIfBars).focus)

    @one_at_a_time("rules")
    async def action_choose_rules(self) -> None:
        """Choose how the next run finds its weights."""
        config = await self.app.push_screen_wait(RulesScreen(self.workspace.config))
        if config is not None:
            self.workspace.use_rules(config.aggregation)
            self.show_state()
