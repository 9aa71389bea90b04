"""Line charts by round: one line and one mark per hospital, with a legend that carries the latest numbers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.color import Color
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static
from textual_plotext import Plot, PlotextPlot

from fedmed_tui.state import RunState
from fedmed_tui.theme import MARKS, look
from fedmed_tui.widgets.text import number, safe
from fedmed_tui.workspace import Workspace

MOST_POINTS = 200
"""Points drawn per line; longer series are thinned out evenly, first and last kept."""
MARKED_POINTS = 30
"""Up to this many points each bears its hospital's mark."""


@dataclass(frozen=True)
class Series:
    """One line: values by round."""

    name: str
    mark: str
    rgb: tuple[int, int, int]
    points: dict[int, float]


class SeriesChart(Vertical):
    """A chart of values by round. Subclasses say which series of the run it shows."""

    DEFAULT_CLASSES = "figure"
    DEFAULT_CSS = """
    SeriesChart { height: 1fr; min-height: 5; }
    SeriesChart > Static { height: auto; }
    SeriesChart > PlotextPlot { height: 1fr; color: $muted; }
    """
    WAITING = ""
    """What stands in place of the chart before the first value."""
    DECIMALS = 2

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.drawn: list[Series] = []

    def compose(self) -> ComposeResult:
        """Legend above, lines below."""
        yield Static(Content(self.WAITING), markup=False)
        plot = PlotextPlot()
        plot.theme = "textual-clear"  # the terminal's own colours: axes take the widget's colour, the rest is ours
        plot.display = False  # nothing to draw yet, not even a frame
        yield plot

    @abstractmethod
    def series(self, run: RunState) -> list[Series]:
        """The lines to draw."""

    @property
    def last_round(self) -> int:
        """Where the x axis ends."""
        return self.workspace.run.total_rounds

    @property
    def steps(self) -> int:
        """Steps between the labels of the y axis."""
        return 3

    def draw(self) -> None:
        """Bring the chart up to date."""
        if not self.is_mounted:
            return
        series = [one for one in self.series(self.workspace.run) if one.points]
        if series == self.drawn:
            return
        self.drawn = series
        self.query_one(Static).update(self._legend(series))
        self.query_one(PlotextPlot).display = bool(series)
        self.plot(series)

    def hospital_series(self, run: RunState, points: dict[str, dict[int, float]]) -> list[Series]:
        """One series per hospital in the run's order; none when there are more hospitals than marks."""
        if len(run.hospitals) > len(MARKS):
            return []
        dark = self.app.current_theme.dark
        looks = {hospital.name: look(place, dark=dark) for place, hospital in enumerate(run.hospitals)}
        return [Series(name, one.mark, one.rgb, points.get(name, {})) for name, one in looks.items()]

    def on_mount(self) -> None:
        """Colours follow the theme."""
        self.app.theme_changed_signal.subscribe(self, lambda theme: self.draw())

    def _legend(self, series: list[Series]) -> Content:
        if not series:
            return Content(self.WAITING).stylize("$muted")
        parts = []
        for one in series:
            latest = one.points[max(one.points)]
            mark = (f"{one.mark} ", Color(*one.rgb).hex)
            parts.append(Content.assemble(mark, safe(one.name), f" {number(latest, self.DECIMALS)}"))
        return Content("   ").join(parts)

    def plot(self, series: list[Series]) -> None:
        """Draw the lines."""
        widget = self.query_one(PlotextPlot)
        plt = widget.plt
        plt.clear_figure()
        plt.grid(False, False)
        plt.xaxes(True, False)
        plt.yaxes(True, False)
        for one in series:
            rounds = thinned(sorted(one.points))
            values = [one.points[at] for at in rounds]
            if len(rounds) > 1:
                plt.plot(rounds, values, marker="braille", color=one.rgb)
            if len(rounds) <= MARKED_POINTS:
                plt.scatter(rounds, values, marker=one.mark, color=one.rgb)
        if series:
            _set_axes(plt, series, self.last_round, self.DECIMALS, self.steps)
        widget.refresh()


class LossChart(SeriesChart):
    """Validation loss of the global adapter by round; round 0 is the base model."""

    WAITING = "The lines begin with the base model's validation loss."
    DECIMALS = 3

    def series(self, run: RunState) -> list[Series]:
        """The mean over hospitals, and each hospital."""
        accent = Color.parse(self.app.theme_variables["accent"]).rgb
        mean = Series("mean", "━", accent, run.macro_series())
        return [mean, *self.hospital_series(run, {one.name: run.loss_series(one.name) for one in run.hospitals})]


def thinned(rounds: list[int]) -> list[int]:
    """At most `MOST_POINTS` of the rounds, evenly spread, with the first and the last."""
    if len(rounds) <= MOST_POINTS:
        return rounds
    step = (len(rounds) - 1) / (MOST_POINTS - 1)
    return [rounds[round(at * step)] for at in range(MOST_POINTS)]


def _set_axes(plt: Plot, series: list[Series], last_round: int, decimals: int, steps: int) -> None:
    """The whole run fits on the x axis from the start, so that the lines grow to the right."""
    values = [value for one in series for value in one.points.values()]
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or 0.05
    low, high = low - margin, high + margin
    ticks = [low + (high - low) * part / steps for part in range(steps + 1)]
    plt.ylim(low, high)
    plt.yticks(ticks, [f"{tick:.{decimals}f}" for tick in ticks])
    first = min(at for one in series for at in one.points)
    last = max(last_round, first + 1)
    shown = range(first, last + 1, max(1, -(-(last - first) // 8)))
    plt.xlim(first, last)
    plt.xticks(shown, ["base" if at == 0 else str(at) for at in shown])
