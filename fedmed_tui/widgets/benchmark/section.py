"""What the pictures of benchmark sections have in common."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from fedmed_tui.benchmark_desk import Sections
from fedmed_tui.theme import Look, look
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.workspace import Workspace


class SectionFigure(Figure):
    """A picture of one section; says what it waits for while nothing is known."""

    WAITING = ""

    @property
    def sections(self) -> Sections:
        """What was measured, or what the record tells so far."""
        return self.workspace.benchmarks.sections(self.run_state)

    def picture(self, width: int) -> Content:
        """See the class."""
        return self.shown(width) or Content.styled(self.WAITING, "$muted")

    def shown(self, width: int) -> Content | None:
        """The section for a width in cells; None while nothing is known of it."""
        raise NotImplementedError


def looks(names: Sequence[str], *, dark: bool) -> dict[str, Look]:
    """A mark and a hue for every hospital, in the order of their names, as in a run."""
    return {name: look(place, dark=dark) for place, name in enumerate(sorted(names))}


def last_round(workspace: Workspace, known: int) -> int:
    """Where a chart by round ends: with the rounds that are known, or with the run's last where its record is what is shown."""
    of_run = workspace.benchmarks.results(workspace.run) is None
    return max(known, workspace.run.total_rounds if of_run else 0)


def facts(rows: Sequence[tuple[str, str]]) -> Content:
    """Names in grey with their figures beside them."""
    widest = max(len(name) for name, _ in rows)
    return Content("\n").join(Content.assemble((f"{name:<{widest}}  ", "$muted"), figure) for name, figure in rows)


def muted(text: str) -> Content:
    """A remark."""
    return Content.styled(text, "$muted")
