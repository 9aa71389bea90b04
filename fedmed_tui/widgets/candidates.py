"""The weight vectors the agent considered, and how they did."""

from __future__ import annotations

from textual.content import Content

from engine.protocol import Aggregated, Candidate
from fedmed_tui.widgets.text import Column, one_line, signed_percent, table
from fedmed_tui.widgets.weights import RoundFigure

COLUMNS = (
    Column("candidate", "left", keep=9),
    Column("weights", keep=3),
    Column("slice 1", keep=7),
    Column("slice 2", keep=8),
)
NUMBERS = 33
"""Cells of the two scores, of the gaps and of the mark before a name."""
SHORTEST = 16
"""Cells that a name gets in any case."""
WHY_NONE = {
    "rule": "This weighting is a fixed rule: it tries no candidates.",
    "fixed": "With fixed weights nobody evaluates, so there are no candidates.",
    "thin": "Too few pairs or voters to try candidates on.",
}


class Candidates(RoundFigure):
    """One line a candidate: those tested on fresh pairs first, the best of them on top, the chosen one marked."""

    def picture(self, width: int) -> Content:
        """See the class."""
        state = self.round_state
        event = state.aggregated if state else None
        if event is None:
            return Content.styled("Candidates appear when the agent has tried some.", "$muted")
        if not event.candidates:
            return Content.styled(WHY_NONE.get(event.verdict, "No candidate was tried."), "$muted")
        ranked = sorted(event.candidates, key=_rank)
        room = max(width - 5 * len(event.weights) - NUMBERS, SHORTEST)
        parts = [table(COLUMNS, [_row(one, room) for one in ranked], width), Content(""), *_notes(event)]
        return Content("\n").join(parts)


def _rank(one: Candidate) -> tuple[bool, bool, float, str]:
    return not one.chosen, one.gain is None, -(one.screen if one.gain is None else one.gain), one.name


def _row(one: Candidate, room: int) -> list[Content | str]:
    name = Content.assemble(("✔ " if one.chosen else "  ", "$accent"), one_line(one.name, room))
    if one.gain is None:
        measured = Content.styled("–", "$muted")
    else:
        measured = Content.assemble(signed_percent(one.gain), (f" ± {(one.error or 0.0) * 100:.2f}", "$muted"))
    row = [name, Content(" ".join(f"{weight:.2f}" for weight in one.weights)), Content(signed_percent(one.screen)), measured]
    return [cell.stylize("bold") for cell in row] if one.chosen else list(row)


def _notes(event: Aggregated) -> list[Content]:
    """What the columns mean, and on how many pairs they rest."""
    first = sum(use.screen_pairs for use in event.slices if use.voted)
    second = sum(use.test_pairs for use in event.slices if use.voted)
    voters = sum(use.voted for use in event.slices)
    end = f"The weights went {event.shrink:.0%} of the way to ✔." if event.verdict == "chosen" else "None was chosen."
    sentences = (
        "Fall of the validation loss against sample weights.",
        f"Slice 1: expected of it, on {first} pairs of {voters} voters.",
        f"Slice 2: measured on {second} fresh pairs and in earlier rounds, ± standard error.",
        end,
    )
    return [Content.styled(sentence, "$muted") for sentence in sentences]
