"""The what-if line: move the hospitals' weights, let the hospitals evaluate them, change nothing."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from engine.protocol import WhatIfEvaluated
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.widgets.text import bar, change, number, plain, safe, signed_percent
from fedmed_tui.workspace import Workspace

CAUTION = "Evaluated on the pairs the candidates were chosen on: good for a look, not for a claim."


class WhatIfBars(Figure, can_focus=True):
    """A bar a hospital with the run's own weight as a mark, then the answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", "Hospital above", show=False, id="what-if.above", tooltip="what if: the hospital above"),
        Binding("down", "choose(1)", "Hospital below", show=False, id="what-if.below", tooltip="what if: the hospital below"),
        Binding("left", "move(-1)", "Less weight", show=False, id="what-if.less", tooltip="what if it counted less"),
        Binding("right", "move(1)", "More weight", show=False, id="what-if.more", tooltip="what if it counted more"),
        Binding("0", "none", "No weight", show=False, id="what-if.none", tooltip="what if it did not count"),
        Binding("backspace", "reset", "Run's weights", show=False, id="what-if.reset", tooltip="back to the run's own weights"),
        Binding(
            "enter", "evaluate", "Evaluate", show=False, id="what-if.ask", tooltip="try these weights; the run is not changed"
        ),
        Binding("x", "stop", "Stop trying", show=False, id="what-if.stop", tooltip="give up the question that is evaluated"),
        Binding("escape", "leave", "Leave", show=False, id="what-if.leave", tooltip="back to choosing the round"),
    ]

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self._place = 0

    # --- keys ------------------------------------------------------------------------------------------------------------------

    @property
    def hospital(self) -> str:
        """The hospital under the cursor; empty before the first finished round."""
        names = sorted(self.workspace.what_if.used(self.run_state))
        return names[min(self._place, len(names) - 1)] if names else ""

    def action_choose(self, by: int) -> None:
        """The cursor goes up or down."""
        count = len(self.workspace.what_if.used(self.run_state))
        self._place = min(max(self._place + by, 0), max(count - 1, 0))
        self.draw()

    def action_move(self, by: int) -> None:
        """The hospital under the cursor counts less or more."""
        if self.hospital:
            self.workspace.what_if.move(self.run_state, self.hospital, by)
            self.draw()

    def action_none(self) -> None:
        """The hospital under the cursor does not count."""
        if self.hospital:
            self.workspace.what_if.set(self.run_state, self.hospital, 0.0)
            self.draw()

    def action_reset(self) -> None:
        """Start again from the run's weights."""
        self.workspace.what_if.reset(self.run_state)
        self.draw()

    def action_evaluate(self) -> None:
        """Ask the hospitals."""
        self.workspace.what_if.ask(self.run_state)
        self.draw()

    def action_stop(self) -> None:
        """Give up the question in progress."""
        self.run_worker(self.workspace.what_if.stop(), exclusive=True)

    def action_leave(self) -> None:
        """The arrow keys choose the round again."""
        self.screen.set_focus(None)

    def on_focus(self) -> None:
        """The cursor appears."""
        self.draw()

    def on_blur(self) -> None:
        """The cursor disappears."""
        self.draw()

    # --- picture ---------------------------------------------------------------------------------------------------------------

    def picture(self, width: int) -> Content:
        """See the class."""
        desk, run = self.workspace.what_if, self.run_state
        used, weights = desk.used(run), desk.weights(run)
        if not used:
            return Content.styled("Other weights can be tried when the first round is done.", "$muted")
        answer = desk.answer(run)
        current = answer if answer and answer.weights == weights and answer.round == run.completed else None
        lines = [self._line(hospital, weights[hospital], used[hospital], current, width) for hospital in sorted(used)]
        return Content("\n").join([*lines, *self._outcome(answer, weights, width)])

    def _line(self, hospital: str, weight: float, used: float, answer: WhatIfEvaluated | None, width: int) -> Content:
        look = self.hospital_look(hospital)
        cursor = "› " if self.has_focus and hospital == self.hospital else "  "
        name = plain(hospital).truncate(min(max(width // 5, 4), _longest(self.workspace)), ellipsis=True, pad=True)
        start = Content.assemble((cursor, "bold $accent"), (f"{look.mark} ", look.hue), name, "  ")
        end = Content(f"  {weight:.2f}  {change(weight - used):<7}")
        losses = {one.hospital: one for one in answer.losses} if answer else {}
        if hospital in losses and width >= 56:
            one = losses[hospital]
            end += Content.styled(f"  {number(one.as_aggregated)} → {number(one.loss)}", "$muted")
        room = width - start.cell_length - end.cell_length
        return Content.assemble(start, bar(weight, max(room, 6), mark=used), end)

    def _outcome(self, answer: WhatIfEvaluated | None, weights: dict[str, float], width: int) -> list[Content]:
        """The question in progress, what went wrong, or the answer."""
        desk = self.workspace.what_if
        total = Content.styled(f"  sum {sum(weights.values()):.2f}: the step size", "$muted")
        if desk.job:
            what = safe(desk.progress.what) if desk.progress else "asking the hospitals"
            return [total, Content.assemble(("◌ ", "$accent"), what, "   ", ("x", "bold $accent"), (" cancel", "$muted"))]
        if failure := desk.failure(self.run_state):
            return [total, Content.assemble(("✖ ", "$error"), safe(failure))]
        if answer is None:
            return [total]
        return [total, _sentence(answer), Content.styled(CAUTION, "$muted")]


def _longest(workspace: Workspace) -> int:
    return max((len(one.name) for one in workspace.run.hospitals), default=4)


def _sentence(answer: WhatIfEvaluated) -> Content:
    """The answer with the weights it is about: they may have been moved since."""
    shares = ", ".join(f"{safe(name)} {weight:.2f}" for name, weight in sorted(answer.weights.items()))
    pairs = sum(one.pairs for one in answer.losses)
    mark = "▼ " if answer.gain > 0 else "▲ " if answer.gain < 0 else "= "
    change_of_loss = f"{signed_percent(-answer.gain)} ± {answer.error * 100:.2f}"
    text = f"validation loss with {shares}, against the run's weights (round {answer.round}, {pairs} pairs)."
    return Content.assemble((f"{mark}{change_of_loss}  ", "bold"), text)
