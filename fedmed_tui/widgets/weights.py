"""How much each hospital counts in one round, as bars."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive

from engine.protocol import HospitalWeight
from fedmed_tui.state import RoundState, RunState
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.widgets.text import bar, change, plain

NOTE = 7
"""Cells of the change since the last round, or of what is the matter; `suspect` takes two more."""
LEGEND = "┃ marks its share of all training pairs"


def aggregated_rounds(run: RunState) -> list[int]:
    """Rounds whose weights are known, in order."""
    return [number for number, state in sorted(run.rounds.items()) if state.aggregated is not None]


class RoundFigure(Figure):
    """A picture of one round's aggregation; of the latest one until another is chosen."""

    chosen: reactive[tuple[str, int] | None] = reactive(None, init=False)
    """The run's name and the round."""

    def choose(self, round: int | None) -> None:
        """Picture a round of the run on the screens, or always the latest one."""
        self.chosen = None if round is None else (self.run_state.run, round)

    def watch_chosen(self) -> None:
        """Another round, another picture."""
        self.draw()

    @property
    def round_state(self) -> RoundState | None:
        """The round that is pictured; None before the first aggregation."""
        run = self.run_state
        known = aggregated_rounds(run)
        if not known:
            return None
        name, chosen = self.chosen or ("", known[-1])
        return run.rounds[chosen if name == run.run and chosen in known else known[-1]]

    def hospital_label(self, hospital: str, longest: int) -> Content:
        """A hospital's mark and name, padded to `longest` cells of name."""
        look = self.hospital_look(hospital)
        return Content.assemble((f"{look.mark} ", look.hue), plain(hospital).truncate(longest, ellipsis=True, pad=True))


class WeightBars(RoundFigure):
    """A bar per hospital, with the change since the round before and the share of pairs as a mark on it."""

    def picture(self, width: int) -> Content:
        """See the class."""
        state = self.round_state
        if state is None or state.aggregated is None:
            return Content.styled("Weights appear when the first round is aggregated.", "$muted")
        weights = sorted(state.aggregated.weights, key=lambda one: one.hospital)
        lines = [self._bar_line(state, one, width) for one in weights]
        return Content("\n").join([*lines, Content.styled(LEGEND, "$muted")])

    def _bar_line(self, state: RoundState, one: HospitalWeight, width: int) -> Content:
        longest = min(max(len(name) for name in state.hospitals), max(width // 5, 4))
        start = self.hospital_label(one.hospital, longest) + Content("  ")
        note = Content(f"{change(self._since_last_round(state, one.hospital, one.weight)):<{NOTE}}")
        if one.standing != "counted":
            note = Content.styled(f"✖ {one.standing:<{NOTE - 2}}", "$warning")
        end = Content.assemble(f"  {one.weight:.2f}  ", note)
        if width >= 64:
            end += Content(f"  pairs {one.sample_share:.2f}")
        room = width - start.cell_length - end.cell_length
        return Content.assemble(start, bar(one.weight, max(room, 6), mark=one.sample_share), end)

    def _since_last_round(self, state: RoundState, hospital: str, weight: float) -> float | None:
        before = self.run_state.rounds.get(state.number - 1)
        at = before.hospitals.get(hospital) if before else None
        return None if at is None or at.weight is None else weight - at.weight.weight
