"""The rules of the next run's aggregation: chosen while another run may still train."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Input, Select, Static

from engine.errors import SettingsError
from engine.settings import RunConfig, validated
from fedmed_tui.widgets.rules import RulesForm
from screens.dialog import Dialog


class RulesScreen(Dialog[RunConfig]):
    """Choose weighting, combine rule and trust; the answer is the configuration with them.

    Args:
        config: what the next run would be started with.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "keep", "Keep", id="rules.keep", priority=True, tooltip="for the next run")
    ]
    DEFAULT_CSS = """
    RulesScreen {
        & > .box { width: 84; scrollbar-size-vertical: 1; }
        #buttons { dock: bottom; height: auto; align-horizontal: right; padding-top: 1; background: $background; }
        Button { margin-left: 2; min-width: 14; }
    }
    RulesScreen.-small #buttons { padding-top: 0; }
    """

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self._config = config

    def compose(self) -> ComposeResult:
        """The three choices, what they are for, the buttons."""
        with VerticalScroll(classes="box", can_focus=False) as box:
            box.border_title = "Method of the next run"
            box.border_subtitle = "Tab next · ctrl+s keep · Esc close"
            yield RulesForm(self._config.aggregation)
            yield Static("A run in progress goes on as it was started.", classes="hint", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Close", compact=True, id="close")
                yield Button("Keep", variant="primary", compact=True, id="keep")

    @on(Select.Changed)
    @on(Input.Changed)
    def changed(self) -> None:
        """Say in place what is wrong."""
        self._checked()

    @on(Input.Submitted)
    @on(Button.Pressed, "#keep")
    def action_keep(self) -> None:
        """Leave with the choice, if it can be used."""
        config = self._checked()
        if config is not None:
            self.dismiss(config)

    @on(Button.Pressed, "#close")
    def close_pressed(self) -> None:
        """Leave."""
        self.dismiss(None)

    def _checked(self) -> RunConfig | None:
        """The configuration as chosen; None when it cannot be used, which the form then says."""
        form = self.query_one(RulesForm)
        table: dict[str, Any] = msgspec.to_builtins(self._config)
        for name, value in form.overrides.items():
            section, key = name.split(".")
            table[section][key] = value
        try:
            config = validated(table, where="")
        except SettingsError as error:
            form.explain(error)
            return None
        form.explain(None)
        return config
