"""The rules of the next run's aggregation: chosen while another run may still train."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from textual import on
from textual.widget import Widget
from textual.widgets import Button, Input, Select

from engine.errors import SettingsError
from engine.settings import RunConfig, validated
from fedmed_tui.widgets.rules import RulesForm
from screens.form import Form


class RulesScreen(Form[RunConfig]):
    """Choose weighting, combine rule and trust; the answer is the configuration with them.

    Args:
        config: what the next run would be started with.
    """

    TITLE = "Method of the next run"

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self._config = config

    def lines(self) -> Iterator[Widget]:
        """The three choices."""
        yield RulesForm(self._config.aggregation)

    def on_mount(self) -> None:
        """Say what the choice is for."""
        self.query_one("#go", Button).label = "Keep"
        self.say("For the next run. A run in progress goes on as it was started.")

    def action_go_on(self) -> None:
        """Leave with the choice, if it can be used."""
        config = self._checked()
        if config is not None:
            self.dismiss(config)

    @on(Select.Changed)
    @on(Input.Changed)
    def changed(self) -> None:
        """Say in place what is wrong."""
        self._checked()

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
