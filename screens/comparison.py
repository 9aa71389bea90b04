"""Two results side by side: every figure that differs, with its change and which way is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DataTable, Static

from engine.benchmark.compare import Difference, compare
from engine.benchmark.results import BenchmarkResults
from fedmed_tui.benchmark_desk import Saved
from fedmed_tui.differences import MARKS, change, figure
from fedmed_tui.widgets.text import plain, safe
from screens.dialog import Dialog


class ComparisonScreen(Dialog[None]):
    """The figures of two results.

    Args:
        before: the earlier results.
        after: those on the screen.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "everything", "All figures", id="comparison.all", tooltip="those that are the same, too; and back")
    ]
    DEFAULT_CSS = """
    ComparisonScreen {
        & > .box { width: 116; height: 90%; }
        DataTable { height: 1fr; margin-top: 1; }
    }
    ComparisonScreen.-small > .box, ComparisonScreen.-medium > .box { height: 100%; padding: 0 1; }
    """

    def __init__(self, before: Saved, after: BenchmarkResults) -> None:
        super().__init__()
        self._before = before
        self._after = after
        self._found: Sequence[Difference] = list(compare(before.results, after))
        self._everything = False

    def compose(self) -> ComposeResult:
        """A summary and the table."""
        with Vertical(classes="box") as box:
            box.border_title = "Differences"
            box.border_subtitle = "↑ ↓ scroll · a all figures · Esc close"
            yield Static(plain(self._summary()))
            yield DataTable[Text](cursor_type="row", show_header=True, cell_padding=1)

    def on_mount(self) -> None:
        """Fill the table."""
        table = self.query_one(DataTable)
        for title, justify in (("", "left"), ("figure", "left"), ("before", "right"), ("now", "right"), ("change", "right")):
            table.add_column(Text(title, justify=justify))  # type: ignore[arg-type]
        self._fill()
        table.focus()

    def action_everything(self) -> None:
        """Figures that are the same, too; and back."""
        self._everything = not self._everything
        self._fill()

    def _summary(self) -> str:
        counts = {verdict: sum(one.verdict == verdict for one in self._found) for verdict in MARKS}
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        return f"{self._before.folder.name} (before) and what is on the screen (now): {told}."

    def _fill(self) -> None:
        table = self.query_one(DataTable)
        table.clear()
        for one in self._found:
            if self._everything or one.verdict != "same":
                table.add_row(*self._row(one))

    def _row(self, one: Difference) -> list[Text]:
        metric = one.metric
        about = "" if metric.subject == "all" else f" · {safe(metric.subject)}"
        name = f"{metric.name.replace('_', ' ')}{about}"
        colour = self.app.theme_variables["warning" if one.verdict == "worse" else "foreground"]
        numbers = [Text(text, justify="right") for text in (figure(one.before), figure(one.after), change(one))]
        return [Text(MARKS[one.verdict], style=colour), Text(name), *numbers]
