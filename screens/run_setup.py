"""The run set-up: what a new run is started with, checked while it is typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Label, Select, Static

from engine import locations
from engine.errors import FedMedError, SettingsError
from engine.settings import PRESETS, RunConfig, load_config
from fedmed_tui.widgets.rules import RulesForm
from fedmed_tui.widgets.text import plain, safe
from screens.dialog import Dialog


@dataclass(frozen=True)
class Field:
    """One setting that the dialog offers."""

    setting: str
    """Its dotted name."""
    label: str
    hint: str
    whole_number: bool = True

    @property
    def id(self) -> str:
        """The id of its input."""
        return self.setting.replace(".", "-").replace("_", "-")


HERE = "this computer"
FOLDER = Field("data.folder", "Data folder", "sample, or a folder of partitions", whole_number=False)
FIELDS = (
    FOLDER,
    Field("model.source", "Base model", "auto, bundled, a folder, or a hub id", whole_number=False),
    Field("training.rounds", "Rounds", "how often adapters are combined"),
    Field("data.max_pairs", "Pairs at most", "per hospital; 0 is all"),
    Field("seed", "Seed", "the same seed gives the same run"),
)


class RunSetupScreen(Dialog[RunConfig]):
    """Change what matters and start.

    Args:
        config: what the fields hold at first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "Start the run", id="setup.start", priority=True, tooltip="with the settings shown")
    ]
    DEFAULT_CSS = """
    RunSetupScreen {
        & > .box { scrollbar-size-vertical: 1; }
        .row { height: auto; margin-bottom: 1; }
        .row > Label { width: 16; color: $muted; }
        .row > Vertical { width: 1fr; height: auto; }
        .row Input { background: $panel; padding: 0 1; }
        .row Input:focus { background: $block-cursor-background; background-tint: $foreground 0%; }
        .row Select { width: 1fr; }
        .row SelectCurrent { background: $panel; padding: 0 1; }
        .note { height: auto; color: $muted; padding: 0 1; }
        .note.-wrong { color: $error; }
        #buttons { dock: bottom; height: auto; align-horizontal: right; padding-top: 1; background: $background; }
        Button { margin-left: 2; min-width: 14; }
    }
    RunSetupScreen.-small .row { margin-bottom: 0; }
    RunSetupScreen.-small #buttons { padding-top: 0; }
    """

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self._config = config
        self._folder = config.data.folder

    def compose(self) -> ComposeResult:
        """Preset, then the fields, each with a line for its hint or what is wrong."""
        with VerticalScroll(classes="box", can_focus=False) as box:
            box.border_title = "New run"
            box.border_subtitle = "Tab next field · ctrl+s start · Esc close"
            with Horizontal(classes="row"):
                yield Label("Preset")
                yield Select(
                    [(name, name) for name in PRESETS], value=self._config.preset, allow_blank=False, compact=True, id="preset"
                )
            if places := self._places():
                with Horizontal(classes="row"):
                    yield Label("Where")
                    with Vertical():
                        yield Select(places, value=self._config.federation.name, allow_blank=False, compact=True, id="where")
                        yield Static(id="where-note", classes="note", markup=False)
            for field in FIELDS:
                with Horizontal(classes="row", id=f"{field.id}-row"):
                    yield Label(field.label)
                    with Vertical():
                        yield Input(_value(self._config, field), compact=True, id=field.id)
                        yield Static(field.hint, id=f"{field.id}-note", classes="note", markup=False)
            yield RulesForm(self._config.aggregation)
            with Horizontal(id="buttons"):
                yield Button("Close", compact=True, id="close")
                yield Button("Start the run", variant="primary", compact=True, id="start")

    @on(Select.Changed, "#preset")
    def preset_chosen(self, event: Select.Changed) -> None:
        """Fill the fields with the preset's values."""
        config = PRESETS[str(event.value)]
        if config.preset == self._config.preset:
            return
        self._config = config
        for field in FIELDS:
            self.query_one(f"#{field.id}", Input).value = _value(config, field)
        self.query_one(RulesForm).show(config.aggregation)

    @on(Select.Changed, "#where")
    def place_chosen(self) -> None:
        """A folder here is no data of hospitals elsewhere."""
        far = bool(self._federation)
        self.query_one(f"#{FOLDER.id}-row").display = not far
        words = "each hospital trains on its own data" if far else "all hospitals in one process"
        self.query_one("#where-note", Static).update(words)

    @on(Select.Changed)
    @on(Input.Changed, "#public_data")
    def rules_changed(self) -> None:
        """Say in place what does not go together."""
        self._checked()

    @on(Input.Changed)
    def field_changed(self, event: Input.Changed) -> None:
        """Say in place what is wrong with it."""
        for field in FIELDS:
            if field.id == event.input.id:
                self._mark(field, self._problem(field))

    @on(Input.Submitted)
    @on(Button.Pressed, "#start")
    def action_start(self) -> None:
        """Start, or go to the first field that is wrong."""
        asked = [field for field in FIELDS if field is not FOLDER or not self._federation]
        for field in asked:
            problem = self._problem(field)
            self._mark(field, problem)
            if problem:
                self.query_one(f"#{field.id}", Input).focus()
                return
        config = self._checked({FOLDER.setting: self._folder} | {field.setting: self._typed(field) for field in asked})
        if config is not None:
            self.dismiss(config)

    @on(Button.Pressed, "#close")
    def close_pressed(self) -> None:
        """Leave."""
        self.dismiss(None)

    def _places(self) -> list[tuple[Text, str]]:
        """This computer and its federations; empty when it has none and there is nothing to choose."""
        known = {*locations.list_federations(), self._config.federation.name} - {""}
        return [(Text(HERE), ""), *((Text(safe(f"federation {name}")), name) for name in sorted(known))] if known else []

    @property
    def _federation(self) -> str:
        """Where the run is to train; empty is here."""
        return next((str(where.value) for where in self.query("#where").results(Select)), "")

    def _checked(self, typed: dict[str, Any] | None = None) -> RunConfig | None:
        """The configuration with the rules as chosen; None when they contradict each other, which the form then says."""
        form = self.query_one(RulesForm)
        try:
            where = {"federation.name": self._federation}
            config = load_config(preset_name=self._config.preset, overrides={**(typed or {}), **form.overrides, **where})
        except SettingsError as error:
            form.explain(error)
            return None
        form.explain(None)
        return config

    def _typed(self, field: Field) -> Any:
        text = self.query_one(f"#{field.id}", Input).value.strip()
        return int(text.replace(",", "")) if field.whole_number else text

    def _problem(self, field: Field) -> str:
        """What is wrong with a field, empty when nothing is."""
        try:
            typed = self._typed(field)
        except ValueError:
            return "✖ must be a whole number"
        try:
            load_config(preset_name=self._config.preset, overrides={field.setting: typed})
        except SettingsError as error:
            return f"✖ {error.message}"
        return self._missing_folder(str(typed)) if field.setting == "data.folder" else ""

    def _missing_folder(self, folder: str) -> str:
        try:
            found = locations.data_folder(folder).is_dir()
        except (FedMedError, OSError, RuntimeError) as error:  # RuntimeError: ~user without such a user
            return f"✖ {error}"
        return "" if found else "✖ there is no such folder"

    def _mark(self, field: Field, problem: str) -> None:
        note = self.query_one(f"#{field.id}-note", Static)
        note.update(plain(problem) if problem else Content(field.hint))
        note.set_class(bool(problem), "-wrong")
        self.query_one(f"#{field.id}", Input).set_class(bool(problem), "-wrong")


def _value(config: RunConfig, field: Field) -> str:
    found: Any = config
    for part in field.setting.split("."):
        found = getattr(found, part)
    return str(found)
