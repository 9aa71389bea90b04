"""How long a hospital's answers are: a histogram in words."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static
from textual_plotext import PlotextPlot

from engine.protocol import LENGTH_BIN, PartitionDescribed
from fedmed_tui.theme import look
from fedmed_tui.workspace import Workspace

AXIS = 8
"""Cells that the y axis and its numbers take."""


class LengthChart(Vertical):
    """Answers by number of words, in the hospital's colour; bars are as wide as the room allows."""

    DEFAULT_CLASSES = "figure"
    DEFAULT_CSS = """
    LengthChart { height: 1fr; min-height: 5; }
    LengthChart > Static { height: auto; color: $muted; }
    LengthChart > PlotextPlot { height: 1fr; color: $muted; }
    """
    partition: reactive[PartitionDescribed | None] = reactive(None, init=False)

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self._drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Words above, bars below."""
        yield Static(markup=False)
        plot = PlotextPlot()
        plot.theme = "textual-clear"
        plot.display = False  # nothing to draw yet, not even a frame
        yield plot

    def watch_partition(self) -> None:
        """Another hospital, another chart."""
        self.draw()

    def on_resize(self) -> None:
        """Another width, another number of bars."""
        self.draw()

    def draw(self) -> None:
        """Bring the chart up to date."""
        if not self.is_mounted or self.size.width == 0:
            return
        one = self.partition
        now = (one, self.size, self.app.theme)
        if now == self._drawn:
            return
        self._drawn = now
        caption = self.query_one(Static)
        known = one is not None and bool(one.answer_lengths)
        self.query_one(PlotextPlot).display = known
        if one is None or not known:
            caption.update(Content("Choose a hospital with ↑ and ↓."))
            return
        caption.update(Content(f"answers by number of words, {one.answer_words:,} on average"))
        self._plot(one)

    def _plot(self, one: PartitionDescribed) -> None:
        widget = self.query_one(PlotextPlot)
        room = max(self.size.width - AXIS, 8)
        together = -(-len(one.answer_lengths) // max(room // 2, 4))
        starts = range(0, len(one.answer_lengths), together)
        heights = [sum(one.answer_lengths[at : at + together]) for at in starts]
        place = sorted(self.workspace.partitions).index(one.hospital) if one.hospital in self.workspace.partitions else 0
        plt = widget.plt
        plt.clear_figure()
        plt.grid(False, False)
        plt.xaxes(True, False)
        plt.yaxes(True, False)
        plt.bar(list(range(len(heights))), heights, width=0.7, color=look(place, dark=self.app.current_theme.dark).rgb)
        most = max(heights)
        plt.ylim(0, most)
        plt.yticks([0, most], ["0", f"{most:,}"])
        ticks = list(range(0, len(heights), max(1, -(-len(heights) // max(room // 8, 2)))))
        plt.xticks(ticks, [f"{at * together * LENGTH_BIN:,}" for at in ticks])
        widget.refresh()
