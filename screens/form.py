"""A dialog with labelled lines to fill in, one line for what is wrong, and a button that goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Static

from engine.errors import SettingsError
from fedmed_tui.failures import complaint
from fedmed_tui.widgets.text import plain
from screens.dialog import Dialog

Result = TypeVar("Result")


class Form(Dialog[Result]):
    """Subclasses say what is asked and what comes of it."""

    TITLE = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "go_on", "Go on", id="form.go", priority=True, tooltip="with what is filled in")
    ]
    DEFAULT_CSS = """
    Form {
        & > .box { width: 84; }
        .row { height: 1; }
        .row > Label { width: 16; color: $muted; }
        .row > Input { width: 1fr; background: $panel; padding: 0 1; }
        .row > Input:focus { background: $block-cursor-background; background-tint: $foreground 0%; }
        .row > Select { width: 1fr; }
        .row > Select.-textual-compact > SelectCurrent { background: $panel; padding: 0 1; }
        .about { height: auto; color: $muted; }
        #note { height: auto; color: $muted; margin-top: 1; }
        #note.-wrong { color: $error; }
        #buttons { height: auto; align-horizontal: right; margin-top: 1; }
        Button { margin-left: 2; min-width: 14; }
    }
    Form.-small #note, Form.-small #buttons { margin-top: 0; }
    """

    def compose(self) -> ComposeResult:
        """The lines, the note, the buttons."""
        with VerticalScroll(classes="box", can_focus=False) as box:
            box.border_title = self.TITLE
            box.border_subtitle = "Tab next field · ctrl+s go on · Esc close"
            yield from self.lines()
            yield Static(id="note", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Close", compact=True, id="close")
                yield Button("", variant="primary", compact=True, id="go")

    def lines(self) -> Iterator[Widget]:
        """What is asked."""
        raise NotImplementedError

    def action_go_on(self) -> None:
        """Check what is filled in, and go on."""
        raise NotImplementedError

    @on(Input.Submitted)
    @on(Button.Pressed, "#go")
    def wants_to_go_on(self) -> None:
        """Enter, or the button."""
        self.action_go_on()

    @on(Button.Pressed, "#close")
    def close_pressed(self) -> None:
        """Leave."""
        self.action_leave()

    def value(self, id: str) -> str:
        """What a line holds."""
        return self.query_one(f"#{id}", Input).value.strip()

    def say(self, text: str) -> None:
        """A hint below the lines."""
        note = self.query_one("#note", Static)
        note.update(Content(text))
        note.remove_class("-wrong")

    def complain(self, error: SettingsError) -> None:
        """What is wrong, below the lines; `where` is the line to mend, and gets the cursor."""
        note = self.query_one("#note", Static)
        note.update(plain(f"✖ {complaint(error)}"))
        note.add_class("-wrong")
        note.scroll_visible(animate=False)
        if error.where:
            self.query_one(f"#{error.where}", Input).focus()


def row(label: str, control: Widget) -> Horizontal:
    """A label and what is filled in beside it; with the id of the control and `-row`."""
    return Horizontal(Label(label), control, classes="row", id=f"{control.id}-row")


def whole_number(text: str, field: str, *, low: int, high: int) -> int:
    """A number typed into `field`. Raises SettingsError."""
    digits = text.replace(",", "")
    if not digits.isdecimal() or not low <= int(digits) <= high:
        raise SettingsError(f"this must be a whole number from {low:,} to {high:,}.", where=field)
    return int(digits)
