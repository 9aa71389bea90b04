"""The help: every key that works here, taken from the bindings themselves, and what the words mean."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import ActiveBinding
from textual.containers import VerticalScroll
from textual.widgets import Static

from screens.dialog import Dialog

WORDS = (
    ("hospital", "one data owner. Its question and answer pairs never leave it"),
    ("adapter", "the small set of trained weights that a hospital sends (LoRA)"),
    ("round", "train at every hospital, combine the adapters, evaluate, save"),
    ("★", "the lowest loss: of the shared adapter at a hospital (Training), of the hospitals' own adapters (Chat)"),
    ("weight", "how much one hospital's adapter counts in a round"),
    ("validation loss", "how surprised the model is by answers it never trained on; lower is better"),
)


class HelpScreen(Dialog[None]):
    """Keys and words.

    Args:
        bindings: the keys that are active on the screen below.
    """

    DEFAULT_CSS = """
    HelpScreen {
        & > .box { width: 84; }
        .heading { color: $accent; text-style: bold; height: auto; }
        .part { height: auto; margin-bottom: 1; }
    }
    """

    def __init__(self, bindings: dict[str, ActiveBinding]) -> None:
        super().__init__()
        self._active = bindings

    def compose(self) -> ComposeResult:
        """Keys, then words."""
        with VerticalScroll(classes="box") as box:
            box.border_title = "Help"
            box.border_subtitle = "↑ ↓ scroll · Esc close"
            yield Static("Keys on this screen", classes="heading")
            yield Static(self._keys(), classes="part")
            yield Static("Words", classes="heading")
            yield Static(self._table(WORDS), classes="part")

    def _keys(self) -> Table:
        shown = [active for active in self._active.values() if active.binding.id and active.binding.description]
        rows = [(self.app.get_key_display(one.binding), one.binding.description, one.binding.tooltip) for one in shown]
        return self._table(rows)

    def _table(self, rows: Sequence[tuple[str, ...]]) -> Table:
        """The term, its name or meaning, more about it."""
        colours = self.app.theme_variables
        table = Table.grid(padding=(0, 2))
        table.add_column(style=f"bold {colours['accent']}", no_wrap=True)
        for _ in rows[0][1:-1]:
            table.add_column(no_wrap=True)
        table.add_column(style=colours["muted"])
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        return table
