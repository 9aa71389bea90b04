"""How answers are made: the system prompt, how freely words are drawn, how long an answer may be."""

from __future__ import annotations

from collections.abc import Iterator

from textual.binding import Binding
from textual.widget import Widget
from textual.widgets import Button, Input, Static, Switch, TextArea

from engine.errors import SettingsError
from engine.protocol import SYSTEM_PROMPT
from fedmed_tui.chatdesk import Manner
from fedmed_tui.widgets.text import safe
from screens.form import Form, row, whole_number

ABOUT = "The guardrails look at questions and answers, whatever stands here; no prompt weakens them."


class MannerScreen(Form[Manner]):
    """Change the system prompt and the sampling; the answer is the new manner.

    Args:
        manner: what holds now.
    """

    TITLE = "How answers are made"
    BINDINGS = [  # noqa: RUF012 (as Textual has it)
        Binding("ctrl+d", "usual", "Usual prompt", id="manner.usual", priority=True, tooltip="the system prompt of the training")
    ]
    DEFAULT_CSS = """
    MannerScreen {
        #system { height: 5; background: $panel; padding: 0 1; margin-bottom: 1; }
        #system:focus { background: $block-cursor-background; }
        #hint-row { height: 1; }
        #hint { height: 1; border: none; padding: 0; background: transparent; }
    }
    """

    def __init__(self, manner: Manner) -> None:
        super().__init__()
        self._manner = manner

    def lines(self) -> Iterator[Widget]:
        """Prompt, numbers, hint."""
        manner = self._manner
        yield Static(
            "System prompt: what the model is told before the conversation. ctrl+d brings the usual one back.", classes="about"
        )
        yield TextArea(manner.system, id="system", compact=True, highlight_cursor_line=False)
        yield row("temperature", Input(f"{manner.temperature:g}", id="temperature", compact=True))
        yield row("top-p", Input(f"{manner.top_p:g}", id="top_p", compact=True))
        yield row("longest answer", Input(str(manner.max_tokens), id="max_tokens", compact=True))
        yield row("seed", Input(str(manner.seed), id="seed", compact=True))
        yield row("router hint", Switch(manner.hint, id="hint"))
        yield Static(ABOUT, classes="about")

    def on_mount(self) -> None:
        """What the buttons do."""
        self.query_one("#go", Button).label = "Keep"
        self.say("Temperature 0 takes the likeliest word each time; 1 draws freely. Tokens are pieces of words.")

    def action_usual(self) -> None:
        """The prompt every adapter was trained with."""
        self.query_one(TextArea).text = SYSTEM_PROMPT

    def action_go_on(self) -> None:
        """Check the numbers, and close."""
        try:
            manner = Manner(
                system=safe(self.query_one(TextArea).text.strip()) or SYSTEM_PROMPT,
                temperature=_share(self.value("temperature"), "temperature", high=2.0),
                top_p=_share(self.value("top_p"), "top_p", low=0.01, high=1.0),
                max_tokens=whole_number(self.value("max_tokens"), "max_tokens", low=1, high=2000),
                seed=whole_number(self.value("seed"), "seed", low=0, high=2**31),
                hint=self.query_one(Switch).value,
            )
        except SettingsError as error:
            self.complain(error)
            return
        self.dismiss(manner)


def _share(text: str, field: str, *, high: float, low: float = 0.0) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not low <= number <= high:
        raise SettingsError(f"this must be a number from {low:g} to {high:g}.", where=field)
    return number
