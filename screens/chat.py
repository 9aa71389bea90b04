"""The Chat screen: ask any adapter, while training goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static

from engine.errors import EngineError
from fedmed_tui.conversation import Conversation
from fedmed_tui.disclaimer import DISCLAIMER
from fedmed_tui.widgets.chat import AdapterList, ExchangeView, QuestionInput
from fedmed_tui.widgets.panel import Scroll
from screens.base import ModeScreen

FLUSH_SECONDS = 0.08
"""How often new text is put on the screen."""


class Transcript(Scroll):
    """The exchanges with one model; the end stays in sight while an answer grows."""

    follow = True


class ChatScreen(ModeScreen):
    """Choose a model, type a question, read the answer as it comes."""

    MODE = "chat"
    AUTO_FOCUS = "QuestionInput"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop_answer", "Stop answer", id="chat.stop", tooltip="stop the answer that is being written"),
        Binding("escape", "leave_input", "Leave typing", id="chat.leave", tooltip="so that single keys work again"),
        Binding("pageup", "scroll(-1)", "Scroll up", id="chat.up", show=False, tooltip="read what was said before"),
        Binding("pagedown", "scroll(1)", "Scroll down", id="chat.down", show=False, tooltip="back to the latest answer"),
        Binding("i", "type", "Type", id="chat.type", show=False, tooltip="go back to the question"),
    ]
    DEFAULT_CSS = """
    ChatScreen {
        #talk { width: 1fr; height: 1fr; }
        Transcript { height: 1fr; padding: 0 1; }
        .invitation { height: auto; color: $muted; padding: 1 1; }
    }
    """

    def body(self) -> Iterable[Widget]:
        """Models on the left, transcript and question on the right."""
        yield Horizontal(
            AdapterList(self.workspace),
            Vertical(
                Transcript(),
                QuestionInput(placeholder="Ask a medical question", max_length=4000),
                id="talk",
            ),
        )

    def on_mount(self) -> None:
        """Follow the answer, and start with the base model."""
        super().on_mount()
        self.query_one(AdapterList).draw()
        self._flushing = self.set_interval(FLUSH_SECONDS, self._flush)

    def on_screen_resume(self) -> None:
        """Write again what came meanwhile."""
        super().on_screen_resume()
        self._flushing.resume()

    def on_screen_suspend(self) -> None:
        """Nobody looks: write nothing."""
        self._flushing.pause()

    def show_state(self) -> None:
        """The numbers in the list; the transcript has its own faster clock."""
        super().show_state()
        self.query_one(AdapterList).draw()
        if self._conversation is not self._shown:
            self._show_conversation()

    def choose(self, adapter: str) -> None:
        """Choose the model to ask."""
        self.query_one(AdapterList).choose(adapter)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape stops an answer first, and leaves the input when there is none."""
        typing = isinstance(self.focused, Input)
        if action == "stop_answer":
            return bool(self.workspace.chat_job)
        if action == "leave_input":
            return typing and not self.workspace.chat_job
        return not typing if action == "type" else True

    def action_leave_input(self) -> None:
        """Give the keys back."""
        self.set_focus(None)

    def action_scroll(self, pages: int) -> None:
        """Read up or down while the question keeps the focus."""
        transcript = self.query_one(Transcript)
        if pages < 0:
            transcript.scroll_page_up()
        else:
            transcript.scroll_page_down()

    def action_type(self) -> None:
        """Go to the question."""
        self.query_one(QuestionInput).focus()

    @work
    async def action_stop_answer(self) -> None:
        """Stop the answer."""
        await self.workspace.stop_answer()

    @on(OptionList.OptionHighlighted)
    def adapter_chosen(self) -> None:
        """Every adapter has its own transcript."""
        self._show_conversation()

    @on(OptionList.OptionSelected)
    def adapter_entered(self) -> None:
        """Chosen with Enter: go on to the question."""
        self.action_type()

    @on(Input.Submitted)
    def asked(self, event: Input.Submitted) -> None:
        """Send the question."""
        question = event.value.strip()
        if not question or self.workspace.chat_job:
            return
        try:
            exchange = self.workspace.ask(self.query_one(AdapterList).adapter, question)
        except EngineError as error:
            self.notify(str(error), title=error.title, severity="error", markup=False)
            return
        event.input.clear()
        transcript = self.query_one(Transcript)
        transcript.query(".invitation").remove()
        transcript.mount(ExchangeView(exchange, self.workspace))

    _shown: Conversation | None = None

    @property
    def _conversation(self) -> Conversation:
        return self.workspace.conversation(self.query_one(AdapterList).adapter)

    def _show_conversation(self) -> None:
        conversation = self._conversation
        if conversation is self._shown:
            return
        self._shown = conversation
        transcript = self.query_one(Transcript)
        transcript.remove_children()
        if conversation.exchanges:
            transcript.mount(*(ExchangeView(exchange, self.workspace) for exchange in conversation.exchanges))
        else:
            transcript.mount(Static(self._invitation(), classes="invitation", markup=False))

    def _invitation(self) -> Content:
        lines = [Content("Ask a question and press Enter. Tab goes to the list of models."), Content(DISCLAIMER)]
        if not self.workspace.run.run:
            lines.insert(1, Content("Train first (Esc, then s) to ask the hospitals' models too."))
        return Content("\n").join(lines)

    async def _flush(self) -> None:
        for view in self.query(ExchangeView):
            await view.flush()
