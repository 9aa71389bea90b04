"""How fast the run trained."""

from __future__ import annotations

from textual.content import Content

from engine.benchmark.results import Speed
from engine.benchmark.words import number, percent, seconds
from fedmed_tui.widgets.benchmark.section import SectionFigure, facts


class TrainingSpeed(SectionFigure):
    """Tokens a second, time in rounds, and how close training is to the processor's matrix products."""

    WAITING = "Known after the first round."

    def shown(self, width: int) -> Content | None:
        """See the class."""
        section = self.sections.speed
        return facts(_rows(section)) if section is not None else None


def _rows(section: Speed) -> list[tuple[str, str]]:
    rate = section.tokens_per_second
    rows = [
        ("tokens/s", f"{rate.median:,.0f} ({rate.low:,.0f} to {rate.high:,.0f})"),
        ("in rounds", seconds(section.run_seconds)),
    ]
    if section.share_of_matrix_rate is not None and section.matrix_flops is not None:
        share = percent(section.share_of_matrix_rate, 0)
        rows += [
            ("matrix rate", f"{share} of {number(section.matrix_flops / 1e9, 0)} GFLOP/s"),
        ]
    return rows
