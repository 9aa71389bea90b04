"""The weights of all rounds: one stacked bar a round."""

from __future__ import annotations

from textual.color import Color
from textual_plotext import Plot, PlotextPlot

from fedmed_tui.state import RunState
from fedmed_tui.widgets.chart import Series, SeriesChart
from fedmed_tui.widgets.weights import aggregated_rounds

SHOWN = 24
"""Rounds drawn at most; the latest ones."""
BAR = 0.8
"""Share of a round's room that its bar takes."""
LABEL = 6
"""Cells that a mark and a number take."""


class WeightChart(SeriesChart):
    """How much each hospital counted: a bar per round, the hospitals on top of each other, each with its mark."""

    WAITING = "The bars begin with the first aggregation."

    def series(self, run: RunState) -> list[Series]:
        """One part of the bar per hospital."""
        points: dict[str, dict[int, float]] = {one.name: {} for one in run.hospitals}
        for at in aggregated_rounds(run)[-SHOWN:]:
            for name, hospital in run.rounds[at].hospitals.items():
                if hospital.weight is not None and name in points:
                    points[name][at] = hospital.weight.weight
        return self.hospital_series(run, points)

    def on_resize(self) -> None:
        """Labels that fit now may not have fitted before."""
        if self.is_mounted and self.drawn:
            self.plot(self.drawn)

    def plot(self, series: list[Series]) -> None:
        """Draw the bars."""
        widget = self.query_one(PlotextPlot)
        plt = widget.plt
        plt.clear_figure()
        plt.grid(False, False)
        plt.xaxes(True, False)
        plt.yaxes(True, False)
        if series:
            rounds = sorted({at for one in series for at in one.points})
            first, last = rounds[0], max(rounds[-1], min(self.last_round, rounds[0] + SHOWN - 1))
            _axes(plt, first, last)
            cells = self.size.width / (last - first + 1) * BAR
            for at in rounds:
                self._bar(plt, at, series, cells, self.size.height)
        widget.refresh()

    def _bar(self, plt: Plot, at: int, series: list[Series], cells: float, height: int) -> None:
        """One round's bar, from below; drawn from above, so that a part covers the ones behind it.

        Weights of a record that somebody wrote may add up to more than 1: plotext would draw what lies outside the axes, too.
        """
        parts = [(one, one.points.get(at, 0.0)) for one in series]
        background = Color.parse(self.app.theme_variables["background"]).rgb
        top = sum(share for _, share in parts)
        for one, share in reversed(parts):
            if share > 0:
                plt.bar([at], [min(top, 1.0)], width=BAR, color=one.rgb, marker="sd", reset_ticks=False)
                if share * height >= 2:
                    label = f"{one.mark} {share:.2f}" if cells >= LABEL else one.mark
                    plt.text(label, at, top - share / 2, color=background, background=one.rgb, alignment="center")
            top -= share


def _axes(plt: Plot, first: int, last: int) -> None:
    """The whole run fits on the x axis from the start, so that bars are added to the right."""
    plt.ylim(0, 1)
    plt.yticks([0, 0.5, 1], ["0.00", "0.50", "1.00"])
    plt.xlim(first - 0.5, last + 0.5)
    shown = range(first, last + 1, max(1, -(-(last - first) // 8)))
    plt.xticks(shown, [str(at) for at in shown])
