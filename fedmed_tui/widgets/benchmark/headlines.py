"""The figures that people ask for first, in big digits, each with its words and its change against earlier results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Digits, Static

from engine.benchmark.metrics import Metric, metrics
from engine.benchmark.results import BenchmarkResults
from fedmed_tui.benchmark_desk import Sections
from fedmed_tui.widgets.text import signed_percent
from fedmed_tui.workspace import Workspace

PLACES = 6
"""Headlines at most; as many as fit are shown."""
WAITING = "The first figures come with the first round."


@dataclass(frozen=True)
class Head:
    """One headline."""

    figure: str
    words: str
    key: str = ""
    """Of the metric that two results are compared by; empty where there is none."""


class Headline(Vertical):
    """One figure and its words."""

    DEFAULT_CSS = """
    Headline {
        width: 1fr; height: 1fr;
        Digits { width: 100%; height: 3; color: $accent; }
        Static { height: 1; width: 100%; text-overflow: ellipsis; text-wrap: nowrap; }
    }
    """

    def compose(self) -> ComposeResult:
        """Digits, words, change."""
        yield Digits()
        yield Static(markup=False, classes="words")
        yield Static(markup=False, classes="change")

    def tell(self, head: Head | None, change: Content) -> None:
        """Show a headline, or make room for others."""
        self.display = head is not None
        if head is None:
            return
        self.query_one(Digits).update(head.figure)
        self.query_one(".words", Static).update(Content.styled(head.words, "$muted"))
        self.query_one(".change", Static).update(change)


class Headlines(Horizontal):
    """As many headlines as fit, the most asked for first."""

    DEFAULT_CLASSES = "figure"
    DEFAULT_CSS = """
    Headlines { height: 1fr; }
    Headlines > .waiting { width: auto; color: $muted; }
    """
    NARROWEST = 19
    """Cells a headline needs."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self._told: object = None

    def compose(self) -> ComposeResult:
        """What is waited for, then places that stay empty until there is something to tell."""
        yield Static(WAITING, classes="waiting")
        for _ in range(PLACES):
            yield Headline()

    def draw(self) -> None:
        """Bring the figures up to date."""
        if not self.is_mounted or not self.size.width:
            return
        desk, run = self.workspace.benchmarks, self.workspace.run
        heads = list(headlines(desk.sections(run)))[: max(1, self.size.width // self.NARROWEST)]
        before = {one.key: one for one in metrics(desk.before.results)} if desk.before is not None else {}
        now = _by_key(desk.results(run)) if before else {}
        changes = [change(before.get(head.key), now.get(head.key)) for head in heads]
        if (heads, changes) == self._told:
            return
        self._told = (heads, changes)
        self.query_one(".waiting").display = not heads
        for place, widget in enumerate(self.query(Headline)):
            head = heads[place] if place < len(heads) else None
            widget.tell(head, changes[place] if head else Content(""))

    def on_resize(self) -> None:
        """More or fewer may fit now."""
        self.draw()


def headlines(sections: Sections) -> Iterator[Head]:
    """What is known, the most asked for first."""
    yield from _learned(sections)
    if sections.efficiency is not None:
        run = sections.efficiency.run
        less = f"{100 * run.reduction(run.loaded_bytes):.1f}%"
        yield Head(less, "less to send", "efficiency.reduction_against_loaded[run]")
    if sections.privacy is not None and sections.privacy.raw_values_sent is not None:
        yield Head(f"{sections.privacy.raw_values_sent}", "raw pairs sent", "privacy.raw_values_sent[all]")
    if sections.speed is not None:
        yield Head(f"{sections.speed.tokens_per_second.median:,.0f}", "tokens/s, training", "speed.training[all]")
    if sections.inference is not None:
        milliseconds = 1000 * sections.inference.warm_first_token_seconds.median
        yield Head(f"{milliseconds:,.0f}", "ms to first token", "inference.warm_first_token[all]")


def _learned(sections: Sections) -> Iterator[Head]:
    """The change of the loss, on test pairs where that was measured, else on validation pairs."""
    section = sections.learning
    if section is None:
        return
    if section.test is not None:
        base, shared = section.test.of("base").macro, section.test.of("federated").macro
        yield Head(_signed((shared - base) / base), "test loss", "learning.test_loss_federated[all]")
        if section.test.recovered is not None:
            yield Head(
                f"{100 * section.test.recovered:.0f}%",
                "of pooled gain",
                "learning.recovered_share_of_centralised_gain[all]",
            )
        return
    last = section.validation[-1]
    if last.round > 0 and section.change is not None:
        key = f"learning.validation_loss_round_{last.round}[all]"
        yield Head(_signed(section.change), "validation loss", key)


def change(before: Metric | None, now: Metric | None) -> Content:
    """`▼ −3.1 % better`: against earlier results; empty where there are none."""
    if before is None or now is None:
        return Content("")
    if before.value == now.value:
        return Content.styled("= the same", "$muted")
    better: Literal["better", "worse"] = "better" if (now.value < before.value) == (now.better == "lower") else "worse"
    mark = "▲" if now.value > before.value else "▼"
    relative = f" {signed_percent((now.value - before.value) / abs(before.value), 1)}" if before.value else ""
    return Content.styled(f"{mark}{relative} {better}", "$accent" if better == "better" else "$warning")


def _signed(share: float) -> str:
    return f"{'-' if share < 0 else '+'}{abs(100 * share):.1f}%"


def _by_key(results: BenchmarkResults | None) -> dict[str, Metric]:
    return {one.key: one for one in metrics(results)} if results is not None else {}
