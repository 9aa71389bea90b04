"""The Training screen, the first one: rounds, hospitals, loss and what happened."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import Container
from textual.widget import Widget

from fedmed_tui.widgets.chart import LossChart
from fedmed_tui.widgets.feed import Feed
from fedmed_tui.widgets.hospitals import HospitalTable
from fedmed_tui.widgets.panel import Deck, Panel
from fedmed_tui.widgets.rounds import RoundList
from fedmed_tui.widgets.weights import WeightBars
from fedmed_tui.widgets.welcome import Preparing, Welcome
from screens.base import ModeScreen


class TrainingScreen(ModeScreen):
    """Start, stop and follow a run."""

    MODE = "training"
    DEFAULT_CSS = """
    TrainingScreen {
        #start { height: 1fr; align: center middle; display: none; }
        #start > Panel { width: 76; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; }
        #preparing { display: none; }
        #run { height: 1fr; layout: horizontal; }
        #now { width: 52; height: 1fr; }
        #rounds { height: auto; max-height: 40%; }
        #hospitals { height: auto; max-height: 40%; }
        #activity { height: 1fr; }
        &.-idle #start, &.-preparing #start { display: block; }
        &.-idle #run, &.-preparing #run { display: none; }
        &.-preparing #preparing { display: block; }
        &.-preparing #welcome { display: none; }
    }
    TrainingScreen.-wide #weights { height: auto; max-height: 40%; }
    TrainingScreen.-medium, TrainingScreen.-small {
        #run { layout: vertical; }
        #now { width: 1fr; height: 8; layout: horizontal; }
        #rounds, #hospitals { width: 1fr; height: 1fr; max-height: 100%; }
        #activity { display: none; }
    }
    TrainingScreen.-small #hospitals { display: none; }
    TrainingScreen.-small #start > Panel { padding: 0 1; }
    """

    def body(self) -> Iterable[Widget]:
        """The welcome, or the run."""
        workspace = self.workspace
        start = Panel("", Welcome(workspace, id="welcome"), Preparing(workspace, id="preparing"))
        yield Container(start, id="start")
        now = Container(
            Panel("Rounds", RoundList(workspace), id="rounds", follow=True),
            Panel("Hospitals", HospitalTable(workspace), id="hospitals"),
            Panel("Activity", Feed(workspace), id="activity", follow=True),
            id="now",
        )
        deck = Deck(
            Panel("Validation loss", LossChart(workspace), tab="Loss", id="loss"),
            Panel("Weights", WeightBars(workspace), id="weights"),
            Panel("Activity", Feed(workspace), classes="only-narrow", follow=True),
            Panel("Hospitals", HospitalTable(workspace), classes="only-small"),
        )
        yield Container(now, deck, id="run")

    def show_state(self) -> None:
        """Choose between welcome, preparation and run, then draw."""
        workspace = self.workspace
        preparing = workspace.preparing and workspace.opened is None
        self.set_class(preparing, "-preparing")
        self.set_class(not preparing and not workspace.run.run, "-idle")
        super().show_state()
