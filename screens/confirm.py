"""One question with two or three answers, each with its key."""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from fedmed_tui.widgets.text import plain
from screens.dialog import Dialog


@dataclass(frozen=True)
class Answer:
    """One possible answer: what is returned, its key, its words."""

    value: str
    key: str
    words: str


class ConfirmScreen(Dialog[str]):
    """Ask before something that cannot be undone, or when there is a choice.

    Args:
        question: what is asked; may hold text from outside.
        answers: the first one is highlighted, so it should be the harmless one.
    """

    DEFAULT_CSS = """
    ConfirmScreen OptionList, ConfirmScreen OptionList:focus {
        height: auto; border: none; background: $background; margin-top: 1; padding: 0;
    }
    """

    def __init__(self, title: str, question: str, answers: tuple[Answer, ...]) -> None:
        super().__init__()
        self._title = title
        self._question = question
        self._answers = answers

    def compose(self) -> ComposeResult:
        """Question, then answers."""
        with Vertical(classes="box") as box:
            box.border_title = self._title
            box.border_subtitle = "Esc leaves things as they are"
            yield Static(plain(self._question))
            yield OptionList(
                *(Option(Content.assemble((f"{one.key}  ", "bold $accent"), one.words)) for one in self._answers), markup=False
            )

    def on_key(self, event: Key) -> None:
        """An answer's own key."""
        for one in self._answers:
            if event.character == one.key:
                event.stop()  # or the screen below would take the key too
                event.prevent_default()
                self.dismiss(one.value)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter on an answer."""
        self.dismiss(self._answers[event.option_index].value)
