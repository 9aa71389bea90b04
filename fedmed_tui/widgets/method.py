"""How the weights are found: the rules in force, what judging cost, and what the trust mode gives up."""

from __future__ import annotations

from textual.content import Content

from engine.choices import COMBINE_RULES, TRUST, WEIGHTINGS
from engine.protocol import Aggregated, JudgingCost
from engine.settings import AggregationSettings
from fedmed_tui.widgets.text import bar, plain, safe
from fedmed_tui.widgets.weights import RoundFigure

LABEL = 14
"""Cells of the column of words on the left."""


def in_short(rules: AggregationSettings) -> str:
    """Weighting, combine rule and trust by name."""
    return f"{rules.weighting} · {rules.combine} · {rules.trust}"


class Method(RoundFigure):
    """Weighting, combine rule, trust, cost, error and step of the pictured round."""

    def picture(self, width: int) -> Content:
        """See the class."""
        state = self.round_state
        event = state.aggregated if state else None
        if event is None:
            rules = (self.run_state.config or self.workspace.config).aggregation
            lines = _rules(rules.weighting, rules.combine, rules.trust, width)
        else:
            lines = [*_figures(event, width), *_rules(event.weighting, event.combine, event.trust, width)]
        return Content("\n").join(lines)


def _rules(weighting: str, combine: str, trust: str, width: int) -> list[Content]:
    return [
        _line("trust", trust, TRUST.get(trust, ""), width),
        _line("weighting", weighting, WEIGHTINGS.get(weighting, ""), width),
        _line("combine rule", combine, COMBINE_RULES.get(combine, ""), width),
    ]


def _figures(event: Aggregated, width: int) -> list[Content]:
    """What the pictured round came to in numbers."""
    lines = [
        _line("combine error", f"{event.combine_error * 100:.2f} %", "of the exact weighted adapter", width),
        _line("step size", f"{event.scale:.2f}", "times the average of the updates", width),
    ]
    if event.cost is not None and event.cost.work:
        lines.insert(0, _cost(event.cost, width))
    return lines


def _cost(cost: JudgingCost, width: int) -> Content:
    """A bar whose mark is the limit."""
    words = Content(f" {cost.share:.0%} of the training work, limit {cost.limit:.0%}")
    start = Content.styled(f"{'judging':<{LABEL}}", "$muted")
    room = width - LABEL - words.cell_length
    most = max(cost.share, cost.limit) or 1.0
    line = bar(cost.share / most, min(room, 24), mark=cost.limit / most) if room >= 6 else Content("")
    return Content.assemble(start, line, words if room >= 6 else words.plain[1:])


def _line(label: str, value: str, sentence: str, width: int) -> Content:
    """A word, what it is, and a sentence wrapped beside it."""
    text = Content.assemble(safe(value), ("  " if sentence else ""), (safe(sentence), "$muted"))
    first, *more = text.wrap(max(width - LABEL, 12))
    start = Content.styled(f"{label:<{LABEL}}", "$muted") + first
    return Content("\n").join([start, *(plain(" " * LABEL) + rest for rest in more)])
