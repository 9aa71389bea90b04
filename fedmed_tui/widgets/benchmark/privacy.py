"""What stayed and what left, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from engine.benchmark.results import Privacy
from engine.benchmark.words import size
from fedmed_tui.widgets.benchmark.section import SectionFigure
from fedmed_tui.widgets.text import safe

NAMED = 5
"""Hospitals that are told one by one."""
LATER = "What crossed is told once the first round is done."
NO_LEDGER = "This run kept no ledger of what crossed."


class PrivacySentences(SectionFigure):
    """Pairs by hospital, what the ledger saw crossing, and what hospitals have in common."""

    WAITING = "Known once a run has started."

    def shown(self, width: int) -> Content | None:
        """See the class."""
        section = self.sections.privacy
        if section is None:
            return None
        begins = self.workspace.benchmarks.results(self.run_state) is None and not self.run_state.completed
        return Content("\n").join(_sentences(section, LATER if begins else NO_LEDGER))


def _sentences(section: Privacy, without_ledger: str) -> Iterator[Content]:
    total = sum(one.train + one.validation + one.test for one in section.pairs)
    if len(section.pairs) <= NAMED:
        by_hospital = ", ".join(f"{safe(one.hospital)} {one.train + one.validation + one.test:,}" for one in section.pairs)
    else:
        by_hospital = f"{len(section.pairs)} hospitals"
    yield Content.assemble((f"{total:,} pairs", "bold"), f" stayed where they are: {by_hospital}.")
    yield from _crossed(section, without_ledger)
    if section.overlap is not None:
        exact, near = sum(one.exact for one in section.overlap), sum(one.near for one in section.overlap)
        copies = f"{exact:,} exact and {near:,} near" if exact or near else "No"
        yield Content(f"{copies} copies of pairs within and between hospitals.")
    leaked = sum(one.own + one.others for one in section.leaks or ())
    if leaked:
        yield Content.assemble(("▲ ", "$warning"), f"{leaked:,} held-out pairs have a copy in training.")
    yield Content.styled("An adapter can still carry traces of its pairs: docs/faq.md.", "$muted")


def _crossed(section: Privacy, without_ledger: str) -> Iterator[Content]:
    raw = section.raw_values_sent
    if raw is None:
        yield Content(without_ledger)
        return
    mark = ("✔ ", "$accent") if raw == 0 else ("✖ ", "$error")
    yield Content.assemble(mark, (f"{raw:,} raw pairs or texts", "bold"), " were sent, by the ledger of all that crossed.")
    up, down = section.bytes_per_round("up"), section.bytes_per_round("down")
    yield Content(f"Adapters, all hospitals together: {size(up)} up and {size(down)} down a round.")
