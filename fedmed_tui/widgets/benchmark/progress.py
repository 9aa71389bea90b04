"""The benchmark in progress: how far, how long still, item by item."""

from __future__ import annotations

from textual.content import Content

from fedmed_tui.benchmarking import Benchmarking
from fedmed_tui.units import duration
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.widgets.text import bar, one_line

LINES = 5
"""Items shown at once, around the one in progress."""
BAR = 20


class Measuring(Figure):
    """The whole as a bar with the time left, then the items around the one in progress."""

    def picture(self, width: int) -> Content:
        """See the class."""
        desk = self.workspace.benchmarks
        if desk.going is None:
            return Content(desk.note).stylize("$muted")
        head = self._head(desk.going, width, stopping=desk.stopping)
        return Content("\n").join([head, *_items(desk.going, width)])

    def _head(self, going: Benchmarking, width: int, *, stopping: bool) -> Content:
        if stopping:
            return Content("Stopping.")
        progress = going.progress
        if progress is None:
            loading = self.workspace.status.progress
            what = loading.what if loading is not None and loading.job == going.job else "Reading the run"
            return Content(one_line(what, width).plain)
        left = f"{duration(going.seconds_left)} left" if going.seconds_left is not None else "time left not known yet"
        words = f"  {progress.overall:>4.0%}  item {progress.number + 1} of {len(going.plan)}  {left}"
        return bar(progress.overall, max(width - len(words), 8)) + Content(words)


def _items(going: Benchmarking, width: int) -> list[Content]:
    current = going.progress.number if going.progress is not None else 0
    first = max(0, min(current - 1, len(going.plan) - LINES))
    lines = []
    for at, item in list(enumerate(going.plan))[first : first + LINES]:
        fraction = going.fractions[at]
        mark = ("✔ ", "$accent") if fraction >= 1 else ("▶ ", "$accent") if at == current else ("  ", "$muted")
        bars = bar(fraction, BAR) + Content(f" {fraction:>4.0%}") if at == current else Content("")
        name = one_line(item.item, max(width - 14 - 2 - BAR - 6, 10))
        lines.append(Content.assemble(mark, (f"{item.suite:<13} ", "$muted"), name, "  ", bars))
    return lines
