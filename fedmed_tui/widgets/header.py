"""The top of every screen: where you are, what the engine does, which model it holds, and what is wrong if it died."""

from __future__ import annotations

from textual.content import Content
from textual.style import Style

from fedmed_tui.benchmarking import Benchmarking
from fedmed_tui.pace import seconds_left
from fedmed_tui.units import duration, size
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.widgets.text import one_line, safe
from fedmed_tui.workspace import Activity, Workspace

MODES = {"data": "Data", "training": "Training", "aggregator": "Aggregator", "benchmark": "Benchmark", "chat": "Chat"}
"""The screens in the order of their number keys, with their titles."""

MARKS: dict[Activity, str] = {
    "starting": "◌",
    "ready": "○",
    "loading": "◌",
    "training": "●",
    "stopping": "◌",
    "answering": "●",
    "measuring": "●",
    "ended": "✖",
}
WORDS: dict[Activity, str] = {"loading": "loading the model", "ended": "engine ended", "starting": "starting the engine"}


class StatusHeader(Figure):
    """Screens and engine state in the first line, the model in the second. A narrow screen takes three lines."""

    SCOPED_CSS = False
    DEFAULT_CSS = """
    StatusHeader {
        height: 2; padding: 0 1; background: $panel;
        link-style: none; link-background: $panel; link-style-hover: underline; link-background-hover: $panel;
    }
    .-small StatusHeader { height: 3; }
    """

    def __init__(self, workspace: Workspace, mode: str) -> None:
        super().__init__(workspace)
        self.mode = mode

    def picture(self, width: int) -> Content:
        """See the class."""
        facts = Content.styled(_facts(self.workspace, width), "$muted")
        if width < 78:
            return Content("\n").join([self._tabs(" "), _state(self.workspace, detail=True), facts])
        brand = Content.styled("FED-MED   ", "bold $accent")
        tabs = self._tabs("  ")
        for start, detail in ((brand + tabs, True), (brand + tabs, False), (tabs, False)):
            state = _state(self.workspace, detail=detail)
            gap = width - start.cell_length - state.cell_length
            if gap >= 2:
                return Content("\n").join([start + Content(" " * gap) + state, facts])
        return Content("\n").join([tabs, facts])

    def _tabs(self, gap: str) -> Content:
        tabs = []
        for key, (mode, title) in enumerate(MODES.items(), start=1):
            style = "bold $foreground underline" if mode == self.mode else "$muted"
            tab = Content.assemble((str(key), "$accent"), " ", (title, style))
            tabs.append(tab.stylize(Style.from_meta({"@click": f"app.go('{mode}')"})))
        return Content(gap).join(tabs)


def _state(workspace: Workspace, *, detail: bool) -> Content:
    activity = workspace.activity
    mark = Content.styled(f"{MARKS[activity]} ", "$error" if activity == "ended" else "$accent")
    more = _detail(workspace) if detail else ""
    return Content.assemble(mark, WORDS.get(activity, activity), (f"  {more}" if more else "", "$muted"))


def _detail(workspace: Workspace) -> str:
    """What belongs to the state: how far the run or the loading has come."""
    progress = workspace.status.progress
    if workspace.activity == "loading" and progress is not None:
        return f"{progress.done / progress.total:.0%}" if progress.total else ""
    task = workspace.desk.task
    if workspace.activity == "ready" and task is not None:
        share = f" {task.progress.done / task.progress.total:.0%}" if task.progress and task.progress.total else ""
        return f"{one_line(task.title, 40).plain}{share}"
    going = workspace.benchmarks.going
    if workspace.activity == "measuring" and going is not None:
        return in_short(going)
    run = workspace.live
    if workspace.activity != "training" or run.current is None:
        return ""
    left = seconds_left(run, workspace.clock())
    time_left = f" · {duration(left)} left" if left is not None else ""
    return f"round {run.current.number} of {run.total_rounds}{time_left}"


def in_short(going: Benchmarking) -> str:
    """How far a benchmark has come: `43% · 6 min 10 s left`."""
    if going.progress is None:
        return ""
    left = f" · {duration(going.seconds_left)} left" if going.seconds_left is not None else ""
    return f"{going.progress.overall:.0%}{left}"


def _facts(workspace: Workspace, width: int) -> str:
    """Model, quantization, device and memory; shorter words where there is little room."""
    model = workspace.status.model
    resources = workspace.status.resources
    memory = size(resources.memory_bytes) if resources is not None else ""
    if resources is not None and resources.gpu_bytes:
        memory += f" + {size(resources.gpu_bytes)} on the GPU"
    if model is None:
        return " · ".join(part for part in ("no model in memory: it loads on the first need", memory) if part)
    threads = f"{model.threads} thread{'s' if model.threads != 1 else ''}"
    text = " · ".join(part for part in (model.name, model.quantization, f"{model.device}, {threads}", memory) if part)
    if len(text) > width:
        text = text.rpartition("/")[2].replace("-Instruct", "").replace(" weights", "").replace(" compute", "")
    return one_line(text, width).plain


class Banner(Figure):
    """Below the header when something needs a person: the engine died, or an earlier run is on the screens."""

    DEFAULT_CSS = """
    Banner { display: none; height: auto; padding: 0 1; background: $panel; }
    Banner.-shown { display: block; }
    Banner.-bad { color: $error; }
    """

    def draw(self) -> None:
        """Show or hide, then draw."""
        content = self._message()
        self.set_class(bool(content), "-shown")
        self.set_class(self.workspace.status.exit is not None, "-bad")
        if not content.is_same(self._drawn):
            self._drawn = content
            self.update(content)

    def picture(self, width: int) -> Content:
        """See the class."""
        return self._message()

    def _message(self) -> Content:
        workspace = self.workspace
        if workspace.status.exit is not None and not workspace.status.exit.expected:
            restart = "restart the engine" + (" and go on with the run" if workspace.interrupted is not None else "")
            return Content.assemble(("✖ ", "bold"), safe(workspace.status.exit.sentence), ("\nr ", "bold"), restart)
        if workspace.opened is not None:
            earlier = f"Earlier run {safe(workspace.opened.run)}."
            return Content.assemble(("◂ ", "$accent"), earlier, ("  l ", "bold $accent"), "back to the run in progress")
        return Content("")
