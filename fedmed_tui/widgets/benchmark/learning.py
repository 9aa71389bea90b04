"""Held-out loss: by round on validation pairs, and the four ways to train on test pairs."""

from __future__ import annotations

from textual.color import Color
from textual.content import Content

from engine.benchmark.results import Arm, TestComparison
from engine.benchmark.words import percent
from fedmed_tui.state import RunState
from fedmed_tui.theme import MARKS
from fedmed_tui.widgets.benchmark.section import SectionFigure, last_round, looks, muted
from fedmed_tui.widgets.chart import Series, SeriesChart
from fedmed_tui.widgets.text import Column, bar, number, signed_percent, table

ARM_NAMES: dict[Arm, str] = {
    "base": "base model",
    "local": "each alone",
    "federated": "federated",
    "centralised": "pairs pooled",
}
TALL = 12
"""Lines from which a chart has room for all its labels, legend and axis included."""
COLUMNS = (Column("", "left"), Column("loss", keep=9), Column("", keep=8), Column("", "left", keep=2))
"""Way to train, mean loss over hospitals, its change against the base, that change as a bar."""


class LearningChart(SeriesChart):
    """Validation loss of the global adapter by round, as the results or the run's record tell it."""

    WAITING = "The lines begin with the base model's validation loss."
    DECIMALS = 3

    @property
    def last_round(self) -> int:
        """Results may be of a run that is not on the screens."""
        section = self.workspace.benchmarks.sections(self.workspace.run).learning
        return last_round(self.workspace, section.validation[-1].round if section is not None else 0)

    @property
    def steps(self) -> int:
        """Fewer in a low chart: of two labels in one line, plotext shows now this one, now that."""
        return 3 if self.size.height >= TALL else 1

    def on_resize(self) -> None:
        """Labels that fit now may not have fitted before."""
        if self.is_mounted and self.drawn:
            self.plot(self.drawn)

    def series(self, run: RunState) -> list[Series]:
        """The mean over hospitals, and each hospital where there are no more than marks."""
        section = self.workspace.benchmarks.sections(run).learning
        if section is None:
            return []
        accent = Color.parse(self.app.theme_variables["accent"]).rgb
        found = [Series("mean", "━", accent, {at.round: at.macro for at in section.validation})]
        hospitals = looks(section.hospitals, dark=self.app.current_theme.dark)
        if len(hospitals) <= len(MARKS):
            for name, one in hospitals.items():
                points = {at.round: at.losses[name] for at in section.validation if name in at.losses}
                found.append(Series(name, one.mark, one.rgb, points))
        return found


class Arms(SectionFigure):
    """Base, each hospital alone, federated and all pairs pooled, on test pairs that no training and no choice has seen."""

    WAITING = "A full benchmark compares on TEST pairs: base model, each hospital alone, federated, all pairs pooled."

    def shown(self, width: int) -> Content | None:
        """See the class."""
        section = self.sections.learning
        test = section.test if section is not None else None
        if test is None:
            return None
        base = test.of("base").macro
        largest = max(base - arm.macro for arm in test.arms) or 1.0
        rows = [
            (
                ARM_NAMES[arm.arm],
                number(arm.macro),
                "" if arm.arm == "base" else signed_percent((arm.macro - base) / base, 1),
                bar((base - arm.macro) / largest, max(4, min(width - 30, 30))),
            )
            for arm in test.arms
        ]
        lines = [muted(f"TEST loss, {sum(test.pairs.values()):,} pairs"), table(COLUMNS, rows, width)]
        return Content("\n").join([*lines, *_recovered(test)])


def _recovered(test: TestComparison) -> list[Content]:
    if test.recovered is None:
        return []
    return [Content.assemble((f"{percent(test.recovered, 0)}", "bold"), " of what pooling all pairs gains.")]
