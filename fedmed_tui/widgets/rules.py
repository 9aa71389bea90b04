"""A form for the aggregation's rules: weighting, combine rule, trust, each with a sentence on what it means."""

from __future__ import annotations

from typing import Any, get_args

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Label, Select, Static

from engine.choices import COMBINE_RULES, TRUST, WEIGHTINGS
from engine.errors import SettingsError
from engine.settings import AggregationSettings, CombineRule, Trust, Weighting
from fedmed_tui.failures import complaint
from fedmed_tui.widgets.text import plain

CHOICES: dict[str, tuple[str, tuple[str, ...], dict[str, str]]] = {
    "weighting": ("Weighting", get_args(Weighting), WEIGHTINGS),
    "combine": ("Combine rule", get_args(CombineRule), COMBINE_RULES),
    "trust": ("Who evaluates", get_args(Trust), TRUST),
}
"""By setting under `aggregation`: its label, its names, what they mean."""
PUBLIC = "a folder with the coordinator's own pairs, as one partition"


class RulesForm(Vertical):
    """Three choices, and a folder where the third one needs it.

    Args:
        settings: what is chosen at first.
    """

    SCOPED_CSS = False
    DEFAULT_CSS = """
    RulesForm {
        height: auto;
        .rule { height: auto; }
        .rule > Label { width: 16; color: $muted; }
        .rule > Vertical { width: 1fr; height: auto; }
        .rule Select { width: 1fr; }
        .rule Select.-textual-compact > SelectCurrent { background: $panel; padding: 0 1; }
        .rule Input { background: $panel; padding: 0 1; }
        .rule Input:focus { background: $block-cursor-background; background-tint: $foreground 0%; }
        .meaning { height: auto; color: $muted; padding: 0 1; margin-bottom: 1; }
        .meaning.-wrong { color: $error; }
        #public { display: none; }
        &.-public #public { display: block; }
    }
    .-small RulesForm .meaning { margin-bottom: 0; }
    """

    def __init__(self, settings: AggregationSettings) -> None:
        super().__init__()
        self._settings = settings

    def compose(self) -> ComposeResult:
        """One row a setting."""
        for name, (label, options, _) in CHOICES.items():
            with Horizontal(classes="rule"):
                yield Label(label)
                with Vertical():
                    yield Select(
                        [(option, option) for option in options],
                        value=getattr(self._settings, name),
                        allow_blank=False,
                        compact=True,
                        id=name,
                    )
                    yield Static(id=f"{name}-note", classes="meaning", markup=False)
        with Horizontal(classes="rule", id="public"):
            yield Label("Public pairs")
            with Vertical():
                yield Input(self._settings.public_data, compact=True, id="public_data")
                yield Static(PUBLIC, id="public_data-note", classes="meaning", markup=False)

    def on_mount(self) -> None:
        """Explain what is chosen."""
        self.explain(None)

    def show(self, settings: AggregationSettings) -> None:
        """Choose what `settings` say."""
        for name in CHOICES:
            self.query_one(f"#{name}", Select).value = getattr(settings, name)
        self.query_one("#public_data", Input).value = settings.public_data

    @property
    def overrides(self) -> dict[str, Any]:
        """What is chosen, by dotted name of the setting."""
        chosen = {f"aggregation.{name}": str(self.query_one(f"#{name}", Select).value) for name in CHOICES}
        public = self.query_one("#public_data", Input).value.strip() if self._asks_for_public else ""
        return {**chosen, "aggregation.public_data": public}

    def explain(self, problem: SettingsError | None) -> None:
        """What each choice means; below the one that is wrong, what is wrong with it."""
        self.set_class(self._asks_for_public, "-public")
        notes = {name: meaning[str(self.query_one(f"#{name}", Select).value)] for name, (_, _, meaning) in CHOICES.items()}
        notes["public_data"] = PUBLIC
        wrong = ""
        if problem is not None:
            place = problem.where.rpartition("aggregation.")[2]
            wrong = place if place in notes else "combine"  # most contradictions are about the combine rule
            notes[wrong] = f"✖ {complaint(problem)}"
        for name, note in notes.items():
            widget = self.query_one(f"#{name}-note", Static)
            widget.update(plain(note) if name == wrong else Content(note))
            widget.set_class(name == wrong, "-wrong")

    @property
    def _asks_for_public(self) -> bool:
        return self.query_one("#trust", Select).value == "coordinator"

    @on(Select.Changed)
    def choice_changed(self) -> None:
        """Explain the new choice; whoever holds the form checks it as well."""
        self.explain(None)
