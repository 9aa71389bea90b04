"""What the chat's guardrails noticed."""

from __future__ import annotations

from textual.content import Content

from fedmed_tui.widgets.benchmark.section import SectionFigure, muted
from fedmed_tui.widgets.text import Column, one_line, table

OTHERS = 2 + 7 + 2 + 8
"""Cells of the columns that tell what the figure means, with their gaps."""
COLUMNS = (Column("sentences", "left"), Column("noticed"), Column("of", keep=6), Column("wanted", "left", keep=7))


class Guardrails(SectionFigure):
    """Shares of dangerous and of ordinary sentences that were noticed."""

    WAITING = "A full benchmark reads public sets of harmful, urgent and ordinary questions."

    def shown(self, width: int) -> Content | None:
        """See the class."""
        section = self.sections.safety
        if section is None:
            return None
        rows = [
            (
                one_line(one.name.partition(" (")[0], max(width - OTHERS, 10)),
                f"{one.noticed / one.sentences:.1%}",
                f"{one.sentences:,}",
                "▲ much" if one.dangerous else "▼ little",
            )
            for one in section.figures
        ]
        return Content("\n").join([table(COLUMNS, rows, width), muted("A net, not a promise: docs/safety.md.")])
