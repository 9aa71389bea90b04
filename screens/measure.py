"""What to measure: quick or in full, which suites, how much of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from msgspec.structs import replace
from textual import on
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, Select, SelectionList, Static
from textual.widgets.selection_list import Selection

from engine.benchmark.results import QUICK, SUITES, Suite
from engine.errors import SettingsError
from engine.protocol import RunBenchmark
from fedmed_tui.widgets.text import safe
from screens.form import Form, row, whole_number

FULL = "full"
KINDS = (("quick: from the run's records; seconds", "quick"), ("full: trains again to compare; minutes", FULL))


class MeasureScreen(Form[RunBenchmark]):
    """The answer is what to ask the engine for, but for the job's name.

    Args:
        run: the run that is measured.
    """

    TITLE = "Measure"
    DEFAULT_CSS = """
    MeasureScreen SelectionList {
        height: auto; max-height: 10; border: none; padding: 0; background: $background; margin-bottom: 1;
    }
    MeasureScreen SelectionList:focus { border: none; }
    """
    ONLY_FULL: ClassVar[tuple[str, ...]] = ("seeds", "test_pairs", "items", "answers")

    def __init__(self, run: str) -> None:
        super().__init__()
        self._plain = RunBenchmark(job="", run=run)

    def lines(self) -> Iterator[Widget]:
        """Kind, suites, then what a full benchmark takes."""
        plain = self._plain
        yield Static(Content(f"Run {safe(plain.run)}"), classes="about")
        yield row("How", Select(KINDS, value="quick", allow_blank=False, compact=True, id="kind"))
        yield SelectionList[Suite](*self._suites(quick=True), id="suites", compact=True)
        yield row("Seeds", Input(str(plain.seeds), compact=True, id="seeds"))
        yield row("Test pairs", Input(str(plain.test_pairs), compact=True, id="test_pairs"))
        yield row("Questions", Input(str(plain.items), compact=True, id="items"))
        yield row("Free answers", Input(str(plain.answers), compact=True, id="answers"))

    def on_mount(self) -> None:
        """The quick benchmark is offered first."""
        self.query_one("#go", Button).label = "Measure"
        self._show_kind()

    @on(Select.Changed, "#kind")
    def kind_chosen(self) -> None:
        """Offer what this kind can measure."""
        suites = self.query_one(SelectionList)
        suites.clear_options()
        suites.add_options(self._suites(quick=self._quick))
        self._show_kind()

    def _show_kind(self) -> None:
        for name in self.ONLY_FULL:
            self.query_one(f"#{name}-row").display = not self._quick
        self.say(
            "Space chooses suites. Takes nothing but the run's records."
            if self._quick
            else "Space chooses suites. Seeds are complete runs per weighting; per hospital or data set, 0 is all."
        )

    @property
    def _quick(self) -> bool:
        return self.query_one("#kind", Select).value != FULL

    def _suites(self, *, quick: bool) -> list[Selection[Suite]]:
        return [Selection(Content(title), suite, True) for suite, title in SUITES.items() if not quick or suite in QUICK]

    def action_go_on(self) -> None:
        """Leave with what is filled in, if it can be used."""
        suites = self.query_one(SelectionList).selected
        if not suites:
            self.complain(SettingsError("no suite is chosen.", hint="Choose one with the space bar."))
            return
        everything = len(suites) == len(QUICK if self._quick else SUITES)
        chosen = () if everything else tuple(suite for suite in SUITES if suite in suites)
        try:
            numbers = {} if self._quick else {name: self._number(name) for name in self.ONLY_FULL}
        except SettingsError as error:
            self.complain(error)
            return
        self.dismiss(replace(self._plain, quick=self._quick, suites=chosen, **numbers))

    def _number(self, name: str) -> int:
        """Raises SettingsError."""
        low, high = (1, 100) if name == "seeds" else (0, 1_000_000)
        return whole_number(self.value(name), name, low=low, high=high)
