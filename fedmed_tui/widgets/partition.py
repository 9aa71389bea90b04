"""The hospitals' partitions: a table to choose one from, and what is in the chosen one."""

from __future__ import annotations

from rich.text import Text
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import DataTable

from engine.protocol import PartitionDescribed
from fedmed_tui.theme import look
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.widgets.text import bar, one_line, safe
from fedmed_tui.workspace import Workspace

COLUMNS = ("hospital", "train", "valid", "test", "topics", "words")


class PartitionTable(DataTable[Text]):
    """One row a hospital: pairs by split, topics, mean words an answer."""

    DEFAULT_CSS = """
    PartitionTable {
        height: auto; background: $background; scrollbar-size: 1 1;
        & > .datatable--header { background: $background; color: $muted; text-style: none; }
    }
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, classes="figure", cell_padding=1)
        self.workspace = workspace
        self._shown: list[PartitionDescribed] = []

    def on_mount(self) -> None:
        """Columns of numbers are right-aligned, their titles too."""
        for title in COLUMNS:
            self.add_column(Text(title, justify="left" if title == "hospital" else "right"))

    def draw(self) -> None:
        """Bring the rows up to date."""
        now = [self.workspace.partitions[name] for name in sorted(self.workspace.partitions)]
        if now == self._shown:
            return
        self._shown = now
        self.clear()
        for place, one in enumerate(now):
            self.add_row(*self._row(place, one))

    @property
    def chosen(self) -> PartitionDescribed | None:
        """The hospital under the cursor."""
        return self._shown[self.cursor_row] if 0 <= self.cursor_row < len(self._shown) else None

    def _row(self, place: int, one: PartitionDescribed) -> list[Text]:
        drawn = look(place, dark=self.app.current_theme.dark)
        name = Text.assemble((f"{drawn.mark} ", drawn.hue), safe(one.hospital))
        numbers = (one.train, one.validation, one.test, one.topics, round(one.answer_words))
        return [name, *(Text(f"{value:,}", justify="right") for value in numbers)]


class PartitionFigure(Figure):
    """A picture of one partition."""

    partition: reactive[PartitionDescribed | None] = reactive(None, init=False)

    def watch_partition(self) -> None:
        """Another hospital, another picture."""
        self.draw()

    def picture(self, width: int) -> Content:
        """What is in the partition, or what to expect here."""
        if self.partition is None:
            return Content.styled("Choose a hospital with ↑ and ↓.", "$muted")
        return self.describe(self.partition, width)

    def describe(self, partition: PartitionDescribed, width: int) -> Content:
        """The content for one partition."""
        raise NotImplementedError


class Kinds(PartitionFigure):
    """Pairs by kind of question."""

    def describe(self, partition: PartitionDescribed, width: int) -> Content:
        """See the class."""
        return _bars(partition.kinds, width)


class Topics(PartitionFigure):
    """The topics with the most pairs."""

    def describe(self, partition: PartitionDescribed, width: int) -> Content:
        """See the class."""
        return _bars(partition.top_topics, width)


class Examples(PartitionFigure):
    """A few pairs, as the hospital that owns them may see them."""

    def describe(self, partition: PartitionDescribed, width: int) -> Content:
        """See the class."""
        lines = [Content.styled("Only this hospital's own training reads these pairs. Nothing of them is sent.", "$muted")]
        for example in partition.examples:
            place = Content.styled(f"{safe(example.topic)} · {safe(example.split)}", "$muted")
            lines += [Content(""), Content.assemble(("› ", "$accent"), (safe(example.question), "bold"))]
            lines += [Content(safe(example.answer)), place]
        return Content("\n").join(lines)


def _bars(counts: dict[str, int], width: int) -> Content:
    """One bar a name, most first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if not ranked:
        return Content.styled("Not known.", "$muted")
    label = min(max(len(name) for name, _ in ranked), max(width // 2, 8))
    digits = max(len(f"{count:,}") for _, count in ranked)
    most = ranked[0][1] or 1
    room = max(width - label - digits - 3, 4)
    lines = []
    for name, count in ranked:
        title = one_line(name, label).truncate(label, pad=True)
        lines.append(Content.assemble(title, " ", bar(count / most, room), f" {count:>{digits},}"))
    return Content("\n").join(lines)
