"""How much each hospital counted, and what the choice of weights is worth on test pairs."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from engine.benchmark.results import Aggregation, FullRuns, Interval, SameUpdates
from fedmed_tui.state import RunState
from fedmed_tui.theme import MARKS
from fedmed_tui.widgets.benchmark.section import SectionFigure, last_round, looks, muted
from fedmed_tui.widgets.chart import Series
from fedmed_tui.widgets.text import Column, number, signed_percent, table
from fedmed_tui.widgets.weight_chart import SHOWN, WeightChart

FULL = (
    Column("weighting", "left"),
    Column("mean loss, 95 %", keep=9),
    Column("worst", keep=8),
    Column("gain", keep=7),
)
SAME = (Column("last updates", "left"), Column("mean loss"), Column("worst", keep=7))


class ResultWeights(WeightChart):
    """The weights of each round as stacked bars, as the results or the run's record tell them."""

    @property
    def last_round(self) -> int:
        """Results may be of a run that is not on the screens."""
        section = self.workspace.benchmarks.sections(self.workspace.run).aggregation
        return last_round(self.workspace, section.rounds[-1].round if section is not None else 0)

    def series(self, run: RunState) -> list[Series]:
        """One part of the bar per hospital; none when there are more hospitals than marks."""
        section = self.workspace.benchmarks.sections(run).aggregation
        if section is None or len(section.hospitals) > len(MARKS):
            return []
        hospitals = looks(section.hospitals, dark=self.app.current_theme.dark)
        return [
            Series(name, one.mark, one.rgb, {at.round: at.weights.get(name, 0.0) for at in section.rounds[-SHOWN:]})
            for name, one in hospitals.items()
        ]


class Weightings(SectionFigure):
    """Weightings on complete runs with their intervals; where there are none, on the run's last updates."""

    WAITING = "The first round's weights come with its aggregation."

    def shown(self, width: int) -> Content | None:
        """See the class."""
        section = self.sections.aggregation
        if section is None:
            return None
        if section.full_runs:
            return _full_runs(section, width)
        if section.same_updates:
            return _same_updates(section.same_updates, width)
        return muted(f"Weighting: {section.weighting}. A full benchmark compares it with others on TEST pairs.")


def _full_runs(section: Aggregation, width: int) -> Content:
    ranked: Sequence[FullRuns] = sorted(section.full_runs, key=lambda one: one.macro.mean)
    rows = [(one.weighting, _with_bounds(one.macro), number(one.worst.mean), signed_percent(one.gain.mean)) for one in ranked]
    seeds = len(section.seeds)
    note = f"TEST loss of complete runs, {seeds} seed{'s' if seeds != 1 else ''}."
    return Content("\n").join([table(FULL, rows, width), muted(note)])


def _same_updates(found: Sequence[SameUpdates], width: int) -> Content:
    ranked = sorted(found, key=lambda one: one.macro)
    return table(SAME, [(one.weighting, number(one.macro), number(one.worst)) for one in ranked], width)


def _with_bounds(interval: Interval) -> str:
    """`2.614 ± 0.012`, the t interval being symmetric."""
    if interval.high is None:
        return number(interval.mean)
    return f"{number(interval.mean)} ± {interval.high - interval.mean:.3f}"
