"""The Chat screen: ask any adapter, or several side by side, while training goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import OptionList

from engine.errors import EngineError, FedMedError
from fedmed_tui.chatdesk import kept
from fedmed_tui.conversation import Conversation
from fedmed_tui.history import export
from fedmed_tui.widgets.adapter_list import AdapterList, suggested
from fedmed_tui.widgets.answer import AnswerView
from fedmed_tui.widgets.composer import Composer
from fedmed_tui.widgets.exchange import QuestionView
from fedmed_tui.widgets.text import plain, safe
from fedmed_tui.widgets.transcript import Transcript
from screens.base import ModeScreen
from screens.chat_history import HistoryScreen
from screens.chat_manner import MannerScreen
from screens.dialog import one_at_a_time

FLUSH_SECONDS = 0.08
"""How often new text is put on the screen."""


def _hidden(key: str, action: str, title: str, more: str, *, id: str, priority: bool = False) -> Binding:
    """A key that the help and the palette name, and the footer has no room for."""
    display = key.upper() if key.startswith("f") else None
    return Binding(key, action, title, tooltip=more, id=id, show=False, priority=priority, key_display=display)


class ChatScreen(ModeScreen):
    """Choose a model, type a question, read the answer as it comes."""

    MODE = "chat"
    APP_KEYS = frozenset(("help",))
    AUTO_FOCUS = "Composer"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop_answer", "Stop answer", id="chat.stop", tooltip="stop the answer that is being written"),
        Binding("escape", "leave_input", "Messages", id="chat.leave", tooltip="leave typing, so that single keys work"),
        Binding("i", "type", "Type", id="chat.type", tooltip="go back to the question"),
        Binding("y", "copy", "Copy", id="chat.copy", tooltip="copy the chosen message, else the latest answer"),
        Binding("d", "details", "Why", id="chat.details", tooltip="safety rules of the answers, with reasons and sources"),
        Binding("ctrl+r", "again", "Again", id="chat.again", tooltip="draw another answer to the last question"),
        Binding("f3", "history", "History", id="chat.history", tooltip="search what was asked, export it", key_display="F3"),
        _hidden("f2", "manner", "System prompt", "what the model is told; temperature, length, seed", id="chat.manner"),
        _hidden("f4", "compare", "Compare", "base, two hospitals and global side by side; and back", id="chat.compare"),
        _hidden("ctrl+n", "begin", "New conversation", "the model forgets what was said", id="chat.new"),
        _hidden("ctrl+s", "export", "Export conversation", "as a Markdown file", id="chat.export"),
        _hidden("up,k", "message(-1)", "Message above", "choose the message before", id="chat.above"),
        _hidden("down,j", "message(1)", "Message below", "choose the message after", id="chat.below"),
        _hidden("pageup", "scroll(-1)", "Scroll up", "read what was said before", id="chat.up", priority=True),
        _hidden("pagedown", "scroll(1)", "Scroll down", "back to the latest answer", id="chat.down", priority=True),
    ]
    DEFAULT_CSS = """
    ChatScreen #talk { width: 1fr; height: 1fr; }
    """

    def body(self) -> Iterable[Widget]:
        """Models on the left, transcript and question on the right."""
        models = AdapterList(self.workspace)
        talk = Vertical(Transcript(self.workspace, models.named), Composer(lambda: self.workspace.chat.questions), id="talk")
        yield Horizontal(models, talk)

    def on_mount(self) -> None:
        """Follow the answer, and start with the base model."""
        super().on_mount()
        self._flushing = self.set_interval(FLUSH_SECONDS, self.query_one(Transcript).flush)

    def on_screen_resume(self) -> None:
        """Write again what came meanwhile."""
        super().on_screen_resume()
        self._flushing.resume()

    def on_screen_suspend(self) -> None:
        """Nobody looks: write nothing."""
        self._flushing.pause()

    def show_state(self) -> None:
        """The numbers in the list and above the transcript; the transcript's text has its own faster clock."""
        super().show_state()
        models, transcript = self.query_one(AdapterList), self.query_one(Transcript)
        models.draw()
        self.set_class(len(models.adapters) > 1, "-comparing")
        self._recall(models.adapters)
        transcript.show(self.workspace.conversation(models.adapters), self.workspace.chat.manner)
        chosen = models.chosen
        title = chosen[0].line if len(chosen) == 1 else "Compare " + " · ".join(one.adapter for one in chosen)
        transcript.border_title = plain(title)

    @work(group="recall")
    async def _recall(self, adapters: tuple[str, ...]) -> None:
        await self.workspace.chat.recall(self.workspace.run.run, adapters)

    def choose(self, adapter: str) -> None:
        """Choose the model to ask."""
        self.query_one(AdapterList).choose(adapter)

    @on(OptionList.OptionHighlighted)
    @on(AdapterList.Changed)
    def adapters_chosen(self) -> None:
        """Every adapter has its own transcript, and every comparison."""
        self.show_state()

    @on(OptionList.OptionSelected)
    def adapter_entered(self) -> None:
        """Chosen with Enter: go on to the question."""
        self.action_type()

    # --- keys ------------------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape stops an answer first, and leaves the input when there is none; single keys belong to whoever types."""
        typing = isinstance(self.focused, Composer)
        if typing and action in ("type", "copy", "details"):
            return False
        return self.makes_sense(action) and (action != "leave_input" or typing)

    def makes_sense(self, action: str) -> bool:
        """One question at a time."""
        answering = bool(self.workspace.chat.job)
        offered = {
            "stop_answer": answering,
            "leave_input": not answering,
            "again": not answering,
            "message": isinstance(self.focused, AnswerView | QuestionView),
        }
        return offered.get(action, True)

    @work
    async def action_stop_answer(self) -> None:
        """Stop the answer."""
        await self.workspace.chat.stop()

    def action_leave_input(self) -> None:
        """Give the keys back; the latest message is chosen."""
        messages = self.query_one(Transcript).messages
        self.set_focus(messages[-1] if messages else None)

    def action_type(self) -> None:
        """Go to the question."""
        self.query_one(Composer).focus()

    def action_scroll(self, pages: int) -> None:
        """Read up or down while the question keeps the focus."""
        transcript = self.query_one(Transcript)
        if pages < 0 and transcript.scroll_y > 0:
            transcript.scroll_page_up()
        elif pages < 0:
            transcript.show_older()
        else:
            transcript.scroll_page_down()

    def action_message(self, by: int) -> None:
        """Choose the message above or below; past the last one, go back to the question."""
        messages = self.query_one(Transcript).messages
        if not messages or not isinstance(self.focused, AnswerView | QuestionView):
            return
        at = max(messages.index(self.focused) + by, 0)
        if at == 0:
            self.query_one(Transcript).show_older()
        self.set_focus(messages[at] if at < len(messages) else self.query_one(Composer))

    def action_copy(self) -> None:
        """Copy the chosen message, else the latest answer."""
        messages = self.query_one(Transcript).messages
        chosen = self.focused if isinstance(self.focused, AnswerView | QuestionView) else messages[-1] if messages else None
        if chosen is None or not chosen.text:
            self.notify("There is no message to copy yet.", severity="warning")
            return
        self.app.copy_to_clipboard(chosen.text)
        self.notify("Question copied." if isinstance(chosen, QuestionView) else "Answer copied.")

    def action_details(self) -> None:
        """Tell the safety rules with reasons and sources, or without."""
        if not self.query_one(Transcript).toggle_details(self.focused):
            self.notify("No safety rule applied to this answer.")

    def action_compare(self) -> None:
        """Ask base, two hospitals and the shared adapter at once; or one again."""
        models = self.query_one(AdapterList)
        several = suggested(self.workspace.run)
        if len(models.adapters) > 1:
            models.choose(models.adapters[0])
        elif several:
            models.compare(several)
        else:
            self.notify("Train first, or open a run (o): the base model alone has nothing to be compared with.")

    def action_begin(self) -> None:
        """What was said stays to be read; the model is not told of it again."""
        self._conversation.begin_anew()
        self.query_one(Transcript).show(self._conversation, self.workspace.chat.manner, anew=True)
        self.action_type()

    # --- asking ----------------------------------------------------------------------------------------------------------------

    @property
    def _conversation(self) -> Conversation:
        return self.workspace.conversation(self.query_one(AdapterList).adapters)

    def _complain(self, error: FedMedError) -> None:
        self.notify(safe(str(error)), title=error.title, severity="error", markup=False)

    @on(Composer.Sent)
    def asked(self, event: Composer.Sent) -> None:
        """Send the question, unless another one is being answered: then it stays where it was typed."""
        if self.workspace.chat.job:
            self.notify("One question at a time. Esc stops the answer.", severity="warning")
            return
        try:
            self.workspace.chat.ask(self.workspace.place, self.query_one(AdapterList).adapters, event.question)
        except EngineError as error:
            self._complain(error)
            return
        self.query_one(Composer).clear_question()
        self.show_state()

    def action_again(self) -> None:
        """Draw another answer to the last question."""
        try:
            exchange = self.workspace.chat.ask_again(self.workspace.place, self.query_one(AdapterList).adapters)
        except EngineError as error:
            self._complain(error)
            return
        if exchange is None:
            self.notify("Nothing was asked here yet.", severity="warning")
        self.show_state()

    # --- dialogs and files -----------------------------------------------------------------------------------------------------

    @one_at_a_time("dialog")
    async def action_manner(self) -> None:
        """See and change the system prompt and how answers are drawn."""
        manner = await self.app.push_screen_wait(MannerScreen(self.workspace.chat.manner))
        if manner is not None:
            self.workspace.chat.manner = manner
            self.show_state()

    @one_at_a_time("dialog")
    async def action_history(self) -> None:
        """Search what was asked; a question that is chosen can be asked again."""
        models = self.query_one(AdapterList)
        question = await self.app.push_screen_wait(HistoryScreen(self.workspace.chat, self.workspace.run.run, models.adapters))
        if question:
            self.query_one(Composer).write(question)
            self.action_type()

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        """Write the conversation as Markdown."""
        run = self.workspace.run.run
        answers = [
            kept(one, answer, run) for one in self._conversation.exchanges for answer in one.answers.values() if answer.text
        ]
        if not answers:
            self.notify("Nothing was said here yet.", severity="warning")
            return
        try:
            path = await asyncio.to_thread(export, answers)
        except FedMedError as error:
            self._complain(error)
            return
        self.notify(safe(str(path)), title="Conversation written", timeout=10, markup=False)
