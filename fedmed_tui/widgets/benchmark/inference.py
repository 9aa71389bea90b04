"""How long an answer takes: bars on a logarithmic axis, rates below."""

from __future__ import annotations

import math

from textual.app import ComposeResult
from textual.color import Color
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static
from textual_plotext import PlotextPlot

from engine.benchmark.results import Inference
from engine.benchmark.words import seconds, size
from fedmed_tui.widgets.benchmark.section import muted
from fedmed_tui.workspace import Workspace

TICKS = {1e-3: "1 ms", 1e-2: "10 ms", 1e-1: "0.1 s", 1.0: "1 s", 10.0: "10 s", 100.0: "100 s"}
WAITING = "A full benchmark times cold and warm answers, batches and adapter switches."


class WaitingTimes(Vertical):
    """Cold and warm answers, the first token, an adapter switch; tokens and questions a second, memory."""

    DEFAULT_CLASSES = "figure"
    DEFAULT_CSS = """
    WaitingTimes { height: 1fr; }
    WaitingTimes > Static { height: auto; }
    WaitingTimes > PlotextPlot { height: 1fr; min-height: 6; max-height: 12; color: $muted; }
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self._drawn: object = ""

    def compose(self) -> ComposeResult:
        """Bars, then words."""
        plot = PlotextPlot()
        plot.theme = "textual-clear"
        plot.display = False
        yield plot
        yield Static(markup=False)

    def draw(self) -> None:
        """Bring the picture up to date."""
        if not self.is_mounted:
            return
        section = self.workspace.benchmarks.sections(self.workspace.run).inference
        answer = self.workspace.chat.last_answer
        now = (section, answer is not None and answer.finished, self.app.theme)
        if now == self._drawn:
            return
        self._drawn = now
        plot = self.query_one(PlotextPlot)
        plot.display = section is not None
        if section is not None:
            self._plot(plot, section)
        self.query_one(Static).update(_words(section) if section is not None else muted(WAITING))

    def _plot(self, widget: PlotextPlot, section: Inference) -> None:
        """The longest on top; plotext has no logarithmic bars, so they are drawn by the logarithm."""
        bars = [
            ("switch", section.switch_seconds.median),
            ("first token", section.warm_first_token_seconds.median),
            ("loaded", section.warm_seconds.median),
            ("cold", section.cold_seconds),
        ]
        known = [(f"{name} {seconds(value)}", value) for name, value in bars if value]
        low = math.floor(math.log10(min(value for _, value in known)))
        high = math.log10(max(value for _, value in known))
        plt = widget.plt
        plt.clear_figure()
        plt.grid(False, False)
        plt.xaxes(True, False)
        plt.yaxes(True, False)
        accent = Color.parse(self.app.theme_variables["accent"]).rgb
        lengths = [math.log10(value) - low for _, value in known]
        plt.bar([name for name, _ in known], lengths, orientation="horizontal", width=0.1, color=accent)
        inside = [(math.log10(at) - low, label) for at, label in TICKS.items() if low <= math.log10(at) <= high]
        ticks = dict(inside[:: 1 + len(inside) // 4])  # plotext drops labels that touch, now these, now those
        plt.xlim(0, high - low)
        plt.xticks(list(ticks), list(ticks.values()))
        widget.refresh()


def _words(section: Inference) -> Content:
    batch = f"{section.batch_queries_per_second:.2f} questions/s in a batch of {section.batch}"
    lines = [
        f"{section.tokens_per_second.median:.0f} tokens/s · {batch}, {section.single_queries_per_second:.2f} one by one",
        f"{section.tokens} tokens an answer · memory {size(section.memory_bytes)}, peak {size(section.peak_memory_bytes)}",
    ]
    return Content("\n").join(muted(line) for line in lines)
