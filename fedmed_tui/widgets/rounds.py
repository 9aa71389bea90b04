"""The rounds of the run: done, in progress and to come, with how long it will take."""

from __future__ import annotations

from textual.content import Content

from fedmed_tui.pace import fraction, seconds_left
from fedmed_tui.state import RoundState, RunState
from fedmed_tui.units import duration
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.widgets.text import bar, number, one_line, safe

SHOWN = 30
"""Rounds listed at most; the latest ones."""
AHEAD = 3
"""Rounds to come that are listed."""


class RoundList(Figure):
    """One line for the run, one for its progress, and one for each round."""

    LINES_FIT = True

    def picture(self, width: int) -> Content:
        """See the class."""
        run = self.run_state
        lines = [one_line(run.run or "preparing", width).stylize("bold"), self._progress(width)]
        done = [number for number in sorted(run.rounds) if number > 0][-SHOWN:]
        label = max(len("base"), len(str(run.total_rounds)))
        lines.append(self._base_line(label))
        lines += [_round_line(run, run.rounds[number], label, width) for number in done]
        begun = max(done, default=0)
        coming = range(begun + 1, min(begun + AHEAD, run.total_rounds) + 1)
        lines += [Content.styled(f"· {number:<{label}}", "$muted") for number in coming]
        more = run.total_rounds - begun - len(coming)
        if more > 0:
            lines.append(Content.styled(f"  … {more:,} more", "$muted"))
        return Content("\n").join(line.truncate(width, ellipsis=True) for line in lines)

    def _when(self) -> str:
        """How long it will take, or how it ended."""
        run, workspace = self.run_state, self.workspace
        if run.finished is not None:
            words = {"done": "finished in", "cancelled": "stopped after", "failed": "failed after", "paused": "paused after"}
            return f"{words[run.finished.outcome]} {duration(run.finished.seconds)}"
        if run is not workspace.live or not workspace.training:
            return "interrupted" if run.run else ""
        left = seconds_left(run, workspace.clock())
        return "" if left is None else f"{duration(left)} left"

    def _progress(self, width: int) -> Content:
        run, workspace = self.run_state, self.workspace
        share = fraction(run, workspace.clock() if run is workspace.live and workspace.training else run.last_time)
        right = "  ".join(part for part in (f"{share:>4.0%}", self._when()) if part)
        return Content.assemble(bar(share, max(width - len(right) - 1, 4)), f" {right}")

    def _base_line(self, label: int) -> Content:
        run = self.run_state
        loss = run.macro_series().get(0)
        if loss is not None:
            return Content.assemble(("✔ ", "$accent"), f"{'base':<{label}}  {number(loss)}")
        if 0 not in run.rounds and self.workspace.status.progress is not None and run is self.workspace.live:
            return Content.assemble(("◌ ", "$accent"), safe(self.workspace.status.progress.what))
        if 0 not in run.rounds:
            return Content.styled(f"· {'base':<{label}}", "$muted")
        doing = f"evaluating, {run.rounds[0].evaluated} of {len(run.hospitals)} hospitals"
        return Content.assemble(("▶ ", "$accent"), f"base  {doing}")


def _round_line(run: RunState, state: RoundState, label: int, width: int) -> Content:
    if state.finished is None:
        return _open_round_line(run, state, label, width)
    end = state.finished
    relative = (end.after - end.before) / end.before if end.before else 0.0
    parts = [
        f"{state.number:<{label}}",
        f"{number(end.before)} → {number(end.after)}",
        f"{_percent(relative):>6}",
        duration(end.seconds),
    ]
    if state.carrying:
        parts.append(f"{duration(state.carrying)} on the way")
    while len("  ".join(parts)) + 2 > width and len(parts) > 3:
        parts.pop()
    return Content.assemble(("✔ ", "$accent"), "  ".join(parts))


def _open_round_line(run: RunState, state: RoundState, label: int, width: int) -> Content:
    start = Content.assemble(("▶ ", "$accent"), f"{state.number:<{label}}  ")
    at = state.hospitals.get(state.training)
    if at is None or not at.steps:
        return start + Content.styled(_doing(run, state), "$muted")
    name = safe(state.training)[:12]
    share = at.step / at.steps
    room = width - start.cell_length - len(name) - 7
    return start + Content.assemble(f"{name} ", bar(share, max(room, 4)), f" {share:>4.0%}")


def _doing(run: RunState, state: RoundState) -> str:
    """What happens in a round while nobody trains."""
    if state.judged is not None:
        return f"evaluating, {state.evaluated} of {len(run.hospitals)} hospitals"
    if state.trained is not None:
        return "judging the updates"
    return f"{state.returned} of {run.asked(state)} hospitals returned" if state.returned else "starting"


def _percent(relative: float) -> str:
    sign = "−" if relative < 0 else "+"
    return f"{sign}{abs(relative):.1%}"
