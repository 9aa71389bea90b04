"""Medical multiple choice beside chance, and free answers beside the reference answers."""

from __future__ import annotations

from statistics import fmean

from textual.content import Content

from engine.benchmark.results import Knowledge
from engine.benchmark.words import NONE
from fedmed_tui.widgets.benchmark.section import SectionFigure, muted
from fedmed_tui.widgets.text import Column, number, table


class Scores(SectionFigure):
    """Accuracy with its interval, chance, and ROUGE-L; near chance is said to be near chance."""

    WAITING = "A full benchmark asks PubMedQA and MMLU questions and scores free answers by ROUGE-L."

    def shown(self, width: int) -> Content | None:
        """See the class."""
        section = self.sections.knowledge
        if section is None:
            return None
        parts = []
        if section.choices:
            parts += [_choices(section, width), muted(_verdict(section))]
        if section.free_text:
            parts.append(_rouge(section))
        return Content("\n").join(parts)


def _choices(section: Knowledge, width: int) -> Content:
    """Percent right with half the width of the 95 % interval, a data set a line."""
    adapters = list(dict.fromkeys(one.adapter for one in section.choices))
    scores = {(one.task, one.adapter): one for one in section.choices}
    rows = []
    for task in dict.fromkeys(one.task for one in section.choices):
        found = [scores.get((task, adapter)) for adapter in adapters]
        cells = [f"{100 * one.accuracy:.0f}±{50 * (one.high - one.low):.0f}" if one else NONE for one in found]
        rows.append((task, *cells, f"{100 * next(one.chance for one in found if one):.0f}"))
    return table([Column("% right", "left"), *(Column(name) for name in adapters), Column("chance")], rows, width)


def _verdict(section: Knowledge) -> str:
    """Whether any score is more than guessing or always giving the most frequent answer."""
    beyond = [one for one in section.choices if one.low > max(one.chance, one.majority)]
    if not beyond:
        return "None beats guessing or the most frequent answer."
    return "Beyond guessing and the most frequent answer: " + ", ".join(f"{one.task}, {one.adapter}" for one in beyond) + "."


def _rouge(section: Knowledge) -> Content:
    by_adapter: dict[str, list[float]] = {}
    for one in section.free_text:
        by_adapter.setdefault(one.adapter, []).append(one.rouge_l)
    scores = ", ".join(f"{name} {number(fmean(values))}" for name, values in by_adapter.items())
    return Content(f"ROUGE-L of free answers: {scores}.")
