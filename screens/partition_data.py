"""The partition form: share the pairs of a source out among hospitals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from textual import on
from textual.widget import Widget
from textual.widgets import Button, Input, Select, Static

from engine.errors import SettingsError
from engine.protocol import PartitionData, SourceOptions, Strategy
from fedmed_tui.amounts import numbers
from screens.form import Form, row, whole_number

STRATEGIES: dict[Strategy, str] = {
    "iid": "at random, in equal numbers",
    "dirichlet": "unevenly by topic (Dirichlet)",
    "quantity": "in given amounts",
    "natural": "by a field of the source",
}
NEEDED = {"dirichlet": "alpha", "quantity": "amounts", "natural": "field"}
"""The line that belongs to a strategy alone."""
MOST_HOSPITALS = 1000


class PartitionScreen(Form[PartitionData]):
    """Choose how to share out, and among how many.

    Args:
        source: what is shared out unless something else is named.
    """

    TITLE = "Share pairs out among hospitals"

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source

    def lines(self) -> Iterator[Widget]:
        """Source, strategy and what belongs to it, hospitals, target."""
        yield row("Source", Input(self._source, compact=True, id="source", placeholder="partitions, or anything to import"))
        options = [(words, name) for name, words in STRATEGIES.items()]
        yield row("How", Select(options, value="iid", allow_blank=False, compact=True, id="strategy"))
        yield row("Alpha", Input("0.5", compact=True, id="alpha", placeholder="0.1 is very uneven, 100 is even"))
        yield row("Amounts", Input(compact=True, id="amounts", placeholder="shares: 45, 25, 30; or pairs: 4520, 2521, 2959"))
        yield row("Field", Input(compact=True, id="field", placeholder="the field that says whose a pair is"))
        yield row("Hospitals", Input("3", compact=True, id="hospitals", placeholder="2 to 1,000"))
        yield row("Names", Input(compact=True, id="names", placeholder="A, B, C …; empty names them so"))
        yield row("Seed", Input("0", compact=True, id="seed", placeholder="the same seed gives the same partition"))
        yield row("Into folder", Input("data/shared-out", compact=True, id="target"))
        choices = [("may be at several hospitals", False), ("each at one hospital", True)]
        yield row("Topics", Select(choices, value=False, allow_blank=False, compact=True, id="whole"))

    def on_mount(self) -> None:
        """Show what belongs to the strategy."""
        self.query_one("#go", Button).label = "Share out"
        self._show_strategy()

    @on(Select.Changed, "#strategy")
    def strategy_chosen(self) -> None:
        """Other lines belong to it."""
        self._show_strategy()

    @property
    def _strategy(self) -> Strategy:
        return cast(Strategy, self.query_one("#strategy", Select).value)

    def _show_strategy(self) -> None:
        chosen = self._strategy
        for strategy, line in NEEDED.items():
            self.query_one(f"#{line}-row").display = strategy == chosen
        for line in ("hospitals", "names"):
            self.query_one(f"#{line}-row").display = chosen != "natural"
        self.query_one("#hospitals-row").display = chosen not in ("natural", "quantity")
        self.query_one("#whole-row").display = chosen in ("iid", "quantity")
        self.say("What is in the folder is replaced once everything is shared out. Topics never cross splits.")
        self.query_one("#note", Static).scroll_visible(animate=False)

    def action_go_on(self) -> None:
        """Share out, or say what cannot be."""
        try:
            self.dismiss(self._command())
        except SettingsError as error:
            self.complain(error)

    def _command(self) -> PartitionData:
        """The partition as filled in. Raises SettingsError."""
        strategy = self._strategy
        for needed in ("source", "target", *([NEEDED[strategy]] if strategy in NEEDED else [])):
            if not self.value(needed):
                raise SettingsError("this is needed.", where=needed)
        names = tuple(name.strip() for name in self.value("names").split(",") if name.strip())
        alpha = numbers(self.value("alpha"), "alpha") if strategy == "dirichlet" else (0.5,)
        amounts = numbers(self.value("amounts"), "amounts") if strategy == "quantity" else ()
        pairs = self._as_pairs(amounts)
        return PartitionData(
            job="",
            source=self.value("source"),
            target=self.value("target"),
            strategy=strategy,
            hospitals=whole_number(self.value("hospitals"), "hospitals", low=2, high=MOST_HOSPITALS),
            names=() if strategy == "natural" else names,
            field=self.value("field") if strategy == "natural" else "",
            alpha=alpha[0],
            sizes=pairs,
            proportions=() if pairs else amounts,
            whole_topics=self.query_one("#whole", Select).value is True and strategy in ("iid", "quantity"),
            options=SourceOptions(seed=whole_number(self.value("seed"), "seed", low=0, high=2**31 - 1)),
        )

    @staticmethod
    def _as_pairs(amounts: tuple[float, ...]) -> tuple[int, ...]:
        """Amounts that are numbers of pairs; none when they are shares: those add up to 1 or 100."""
        total = sum(amounts)
        is_shares = not amounts or abs(total - 1) < 1e-6 or abs(total - 100) < 1e-6 or any(one != int(one) for one in amounts)
        return () if is_shares else tuple(int(one) for one in amounts)
