"""How much each hospital counts: bars for one round, and the reason in words."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive

from fedmed_tui.state import RoundState, RunState
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.widgets.text import Column, bar, change, number, plain, safe, table

SHOWN = 200
"""Rounds listed at most; the latest ones."""
LEGEND = "┃ marks its share of all training pairs"


def aggregated_rounds(run: RunState) -> list[int]:
    """Rounds whose weights are known, in order."""
    return [number for number, state in sorted(run.rounds.items()) if state.aggregated is not None]


class RoundFigure(Figure):
    """A picture of one round's aggregation; of the latest one until another is chosen."""

    chosen: reactive[int | None] = reactive(None, init=False)

    def watch_chosen(self) -> None:
        """Another round, another picture."""
        self.draw()

    @property
    def round_state(self) -> RoundState | None:
        """The round that is pictured; None before the first aggregation."""
        known = aggregated_rounds(self.run_state)
        if not known:
            return None
        return self.run_state.rounds[self.chosen if self.chosen in known else known[-1]]


class WeightBars(RoundFigure):
    """A bar per hospital, with the change since the round before and the share of pairs as a mark on it."""

    def picture(self, width: int) -> Content:
        """See the class."""
        state = self.round_state
        if state is None:
            return Content.styled("Weights appear when the first round is aggregated.", "$muted")
        lines = [self._bar_line(state, hospital, width) for hospital in sorted(state.hospitals)]
        return Content("\n").join([*(line for line in lines if line), Content.styled(LEGEND, "$muted")])

    def _bar_line(self, state: RoundState, hospital: str, width: int) -> Content:
        weight = state.hospitals[hospital].weight
        if weight is None:
            return Content("")
        look = self.hospital_look(hospital)
        longest = min(max(len(name) for name in state.hospitals), max(width // 5, 4))
        name = plain(hospital).truncate(longest, ellipsis=True, pad=True)
        start = Content.assemble((f"{look.mark} ", look.hue), name, "  ")
        difference = change(self._since_last_round(state, hospital, weight.weight))
        end = f"  {weight.weight:.2f}  {difference:<7}"
        if width >= 64:
            end += f"  pairs {weight.sample_share:.2f}"
        room = width - start.cell_length - len(end)
        return Content.assemble(start, bar(weight.weight, max(room, 6), mark=weight.sample_share), end)

    def _since_last_round(self, state: RoundState, hospital: str, weight: float) -> float | None:
        before = self.run_state.rounds.get(state.number - 1)
        at = before.hospitals.get(hospital) if before else None
        return None if at is None or at.weight is None else weight - at.weight.weight


class Reason(RoundFigure):
    """Why the hospitals count as they do, in the aggregator's own sentences."""

    def picture(self, width: int) -> Content:
        """See the class."""
        state = self.round_state
        if state is None or state.aggregated is None:
            return Content.styled("The aggregator gives its reasons after each round.", "$muted")
        event = state.aggregated
        weighting = Content.assemble(("weighting ", "$muted"), safe(event.weighting))
        combine = Content.assemble(("combine rule ", "$muted"), safe(event.combine))
        return Content("\n").join([plain(event.reason), Content(""), weighting, combine])


class WeightTable(RoundFigure):
    """Every round's weights as numbers; the pictured round is marked."""

    def picture(self, width: int) -> Content:
        """See the class."""
        run = self.run_state
        chosen = self.round_state
        if chosen is None:
            return Content.styled("One line per round.", "$muted")
        columns = [Column("round", "left"), *(Column(safe(one.name)[:10]) for one in run.hospitals)]
        rows: list[list[Content | str]] = []
        for at in aggregated_rounds(run)[-SHOWN:]:
            mark = "▶ " if at == chosen.number else "  "
            known = {name: one.weight.weight for name, one in run.rounds[at].hospitals.items() if one.weight is not None}
            label = Content.assemble((mark, "$accent"), str(at))
            rows.append([label, *(number(known.get(one.name), 2) for one in run.hospitals)])
        return table(columns, rows, width)
