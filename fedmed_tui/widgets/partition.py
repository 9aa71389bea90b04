"""The hospitals' partitions: a table to choose one from, what is in the chosen one, and how far data work has come."""

from __future__ import annotations

from rich.text import Text
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import DataTable

from engine.protocol import PartitionDescribed
from fedmed_tui.theme import look
from fedmed_tui.units import count
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.widgets.text import bar, one_line, safe
from fedmed_tui.workspace import Workspace

COLUMNS = ("hospital", "pairs", "", "train", "valid", "test", "tokens")
BAR = 7
"""Cells of the bar in the table."""
NAME = 12
"""Cells of a hospital's name in the table."""


class PartitionTable(DataTable[Text]):
    """One row a hospital: pairs (a number and a bar), pairs by split, tokens."""

    DEFAULT_CSS = """
    PartitionTable { height: auto; max-height: 33vh; scrollbar-size: 1 1; }
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(cursor_type="row", cursor_foreground_priority="renderable", classes="figure", cell_padding=0)
        self.workspace = workspace
        self._shown: list[PartitionDescribed] = []
        self._theme = ""

    def on_mount(self) -> None:
        """Columns of numbers are right-aligned, their titles too."""
        for title in COLUMNS:
            self.add_column(_cell(title, to_the_left=title == "hospital"))

    def draw(self) -> None:
        """Bring the rows up to date; the cursor stays where it was."""
        now = [self.workspace.partitions[name] for name in sorted(self.workspace.partitions)]
        if (now, self.app.theme) == (self._shown, self._theme):
            return
        cursor = self.cursor_row
        self._shown, self._theme = now, self.app.theme
        self.clear()
        most = max((one.pairs for one in now), default=1)
        for place, one in enumerate(now):
            self.add_row(*self._row(place, one, most))
        self.move_cursor(row=min(cursor, len(now) - 1))

    @property
    def chosen(self) -> PartitionDescribed | None:
        """The hospital under the cursor."""
        return self._shown[self.cursor_row] if 0 <= self.cursor_row < len(self._shown) else None

    def _row(self, place: int, one: PartitionDescribed, most: int) -> list[Text]:
        drawn = look(place, dark=self.app.current_theme.dark)
        name = Text.assemble((f"{drawn.mark} ", drawn.hue), one_line(one.hospital, NAME).plain)
        colours = self.app.theme_variables
        filled = round(one.pairs / most * BAR)
        line = Text.assemble("  ", ("━" * filled, colours["accent"]), ("─" * (BAR - filled), colours["line"]))
        splits = (_cell(f"{value:,}") for value in (one.train, one.validation, one.test))
        return [name, _cell(f"{one.pairs:,}"), line, *splits, _cell(count(one.tokens) if one.tokens else "–")]


def _cell(text: str, *, to_the_left: bool = False) -> Text:
    """Two cells apart from the column before it."""
    return Text(text) if to_the_left else Text(f"  {text}" if text else "", justify="right")


class PartitionFigure(Figure):
    """A picture of one partition."""

    partition: reactive[PartitionDescribed | None] = reactive(None, init=False)

    def watch_partition(self) -> None:
        """Another hospital, another picture."""
        self.draw()

    @property
    def hospitals(self) -> list[str]:
        """Those of the table, whichever run is on the screens."""
        return sorted(self.workspace.partitions)

    def picture(self, width: int) -> Content:
        """What is in the partition, or what to expect here."""
        if self.partition is None:
            return Content.styled("Choose a hospital with ↑ and ↓.", "$muted")
        return self.describe(self.partition, width)

    def describe(self, partition: PartitionDescribed, width: int) -> Content:
        """The content for one partition."""
        raise NotImplementedError


class Topics(PartitionFigure):
    """The topics with the most pairs, then the kinds of question."""

    def describe(self, partition: PartitionDescribed, width: int) -> Content:
        """See the class."""
        shown = len(partition.top_topics)
        which = f"the {shown} largest of {partition.topics:,}" if shown < partition.topics else f"all {shown:,}"
        parts = [Content.styled(which if shown else "These pairs name no topic.", "$muted")]
        if shown:
            parts.append(bars(partition.top_topics, width))
        if partition.kinds:
            parts += [Content.styled("kinds of question", "$muted"), bars(partition.kinds, width)]
        return Content("\n").join(parts)


class TaskLine(Figure):
    """The data work in progress with its bar, or how the last one ended. Takes no room when there is neither."""

    DEFAULT_CSS = """
    TaskLine { height: auto; max-height: 5; padding: 0 2; display: none; }
    TaskLine.-shown { display: block; }
    """

    def draw(self) -> None:
        """Show or hide, then draw."""
        desk = self.workspace.desk
        self.set_class(desk.task is not None or bool(desk.note), "-shown")
        super().draw()

    def picture(self, width: int) -> Content:
        """See the class."""
        desk = self.workspace.desk
        task = desk.task
        if task is None:
            return Content(safe(desk.note))
        if task.stopping:
            return Content.assemble(("◌ ", "$accent"), "stopping")
        progress = task.progress
        doing = one_line(f"{task.title}: {progress.what}" if progress else task.title, width - 2)
        first = Content.assemble(("◌ ", "$accent"), doing)
        share = progress.done / progress.total if progress and progress.total else 0.0
        end = Content.assemble(f" {share:>4.0%}  ", ("x", "bold $accent"), " cancel")
        return Content("\n").join([first, bar(share, width - end.cell_length) + end])


def bars(counts: dict[str, int], width: int) -> Content:
    """One bar a name, most first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if not ranked:
        return Content.styled("Not known.", "$muted")
    label = min(max(one_line(name, width).cell_length for name, _ in ranked), max(width // 2, 8))
    digits = max(len(f"{number:,}") for _, number in ranked)
    most = ranked[0][1] or 1
    room = max(width - label - digits - 3, 4)
    lines = []
    for name, number in ranked:
        title = one_line(name, label).truncate(label, pad=True)
        lines.append(Content.assemble(title, " ", bar(number / most, room), f" {number:>{digits},}"))
    return Content("\n").join(lines)
