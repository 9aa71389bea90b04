"""The chat history: what was asked of whom, searched as one types, read in full, exported as Markdown."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.errors import FedMedError
from fedmed_tui.chatdesk import ChatDesk
from fedmed_tui.conversation import conversation_key
from fedmed_tui.history import Answered, export
from fedmed_tui.widgets.text import one_line, plain, safe
from screens.confirm import Answer, ConfirmScreen
from screens.dialog import Dialog, one_at_a_time

MOST_SHOWN = 200
"""Found answers that are listed; the others are found by more words."""


class HistoryScreen(Dialog[str]):
    """Find an answer; returns its question when that is to be asked again.

    Args:
        chat: whose history is searched.
        run: the run on the screens.
        adapters: whom the chat would ask now.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Older", id="history.older", priority=True, tooltip="the answer below"),
        Binding("up", "move(-1)", "Newer", id="history.newer", priority=True, tooltip="the answer above"),
        Binding("pagedown", "read(1)", "Read on", id="history.read", priority=True, tooltip="scroll the answer"),
        Binding("pageup", "read(-1)", "Read back", id="history.back", priority=True, tooltip="scroll the answer back"),
        Binding("f3", "scope", "Whose", id="history.scope", priority=True, tooltip="this model, this run, everything"),
        Binding("ctrl+s", "export", "Export", id="history.export", priority=True, tooltip="what is listed, as Markdown"),
        Binding("ctrl+d", "forget", "Forget", id="history.forget", priority=True, tooltip="delete this adapter's conversation"),
    ]
    DEFAULT_CSS = """
    HistoryScreen {
        & > .box { width: 110; height: 90%; }
        #words { background: $panel; padding: 0 1; margin-bottom: 1; }
        OptionList { height: 1fr; border: none; background: $background; padding: 0; scrollbar-size-vertical: 1; }
        #found { height: auto; color: $muted; }
        #reading { height: 2fr; border-top: solid $line; padding: 0 1; scrollbar-size-vertical: 1; }
        #reading > Static { height: auto; }
    }
    HistoryScreen.-small > .box, HistoryScreen.-medium > .box { height: 100%; padding: 0 1; }
    """

    def __init__(self, chat: ChatDesk, run: str, adapters: tuple[str, ...]) -> None:
        super().__init__()
        self._chat = chat
        self._run = run
        self._scopes: list[tuple[str, str | None, str | None]] = [
            (adapters[0], conversation_key(run, adapters[:1])[0], adapters[0]),
            *([(f"run {run}", run, None)] if run else []),
            ("everything", None, None),
        ]
        self._scope = len(self._scopes) - 1
        self._found: list[Answered] = []

    def compose(self) -> ComposeResult:
        """Words, what was found, the answer in full."""
        with Vertical(classes="box") as box:
            box.border_title = "Chat history"
            box.border_subtitle = "Enter ask again · F3 whose · ctrl+s export · ctrl+d forget · Esc"
            yield Input(placeholder="Search questions and answers", id="words", compact=True)
            yield Static(id="found", markup=False)
            yield OptionList(markup=False)
            with VerticalScroll(id="reading", can_focus=False):
                yield Static(markup=False)

    def on_mount(self) -> None:
        """Everything, newest first."""
        self.query_one(OptionList).can_focus = False
        self._search()

    @on(Input.Changed)
    def words_changed(self) -> None:
        """Search as one types."""
        self._search()

    @work(exclusive=True)
    async def _search(self) -> None:
        name, run, adapter = self._scopes[self._scope]
        words = self.query_one(Input).value
        try:
            self._found = await asyncio.to_thread(self._chat.history.search, words, run, adapter, MOST_SHOWN)
        except FedMedError as error:
            self._found = []
            self.query_one("#found", Static).update(plain(f"✖ {error}"))
            return
        count = f"the latest {MOST_SHOWN}" if len(self._found) == MOST_SHOWN else f"{len(self._found)} found"
        self.query_one("#found", Static).update(Content.assemble(f"{count} · of ", (safe(name), "$foreground"), "  F3 others"))
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options([Option(_line(one, max(listed.size.width - 3, 20))) for one in self._found])
        listed.highlighted = 0 if self._found else None
        self._read()

    @on(OptionList.OptionHighlighted)
    def _read(self) -> None:
        chosen = self._chosen
        self.query_one("#reading > Static", Static).update(_in_full(chosen) if chosen else Content(""))
        self.query_one("#reading").scroll_home(animate=False)

    def action_move(self, by: int) -> None:
        """Choose while the words keep the focus."""
        listed = self.query_one(OptionList)
        if by > 0:
            listed.action_cursor_down()
        else:
            listed.action_cursor_up()

    def action_read(self, by: int) -> None:
        """Scroll the answer."""
        reading = self.query_one("#reading", VerticalScroll)
        if by > 0:
            reading.scroll_page_down()
        else:
            reading.scroll_page_up()

    def action_scope(self) -> None:
        """This model, this run, everything."""
        self._scope = (self._scope + 1) % len(self._scopes)
        self._search()

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def chosen(self) -> None:
        """Ask it again."""
        if self._chosen is not None:
            self.dismiss(self._chosen.question)

    @property
    def _chosen(self) -> Answered | None:
        at = self.query_one(OptionList).highlighted
        return self._found[at] if at is not None and at < len(self._found) else None

    @one_at_a_time("forget")
    async def action_forget(self) -> None:
        """Delete everything the adapter under the cursor was asked in that run, once it is clear that this is meant."""
        one = self._chosen
        if one is None:
            return
        question = f"Every question to {safe(one.adapter)}{f' of run {safe(one.run)}' if one.run else ''} is deleted for good."
        answers = (Answer("no", "n", "no, keep them"), Answer("yes", "y", "yes, delete"))
        if await self.app.push_screen_wait(ConfirmScreen("Forget a conversation", question, answers)) != "yes":
            return
        try:
            await self._chat.forget(one.run, one.adapter)
        except FedMedError as error:
            self._complain(error)
        self._search()

    def _complain(self, error: FedMedError) -> None:
        self.notify(safe(str(error)), title=error.title, severity="error", markup=False)

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        """Write what is listed."""
        if not self._found:
            self.notify("Nothing is listed.", severity="warning")
            return
        try:
            path = await asyncio.to_thread(export, self._found)
        except FedMedError as error:
            self._complain(error)
            return
        self.notify(safe(str(path)), title=f"{len(self._found)} answers written", timeout=10, markup=False)


def _line(one: Answered, width: int) -> Content:
    when = time.strftime("%m-%d %H:%M", time.localtime(one.asked))
    start = Content.assemble(
        (f"{when}  ", "$muted"), plain(one.adapter).truncate(8, ellipsis=True, pad=True).stylize("$accent"), " "
    )
    return start + one_line(one.question, max(width - start.cell_length, 10))


def _in_full(one: Answered) -> Content:
    """Whose, the question, the answer, what the guardrails said."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.asked))
    whose = " · ".join(
        part for part in (one.adapter, f"run {one.run}" if one.run else "", when, "stopped" if one.stopped else "") if part
    )
    lines = [
        Content.styled(safe(whose), "$muted"),
        Content.styled(f"› {safe(one.question)}", "bold $accent"),
        plain(one.answer.strip()),
    ]
    if one.findings:
        lines.append(Content.assemble(("Safety: ", "$warning"), ", ".join(safe(one.findings).splitlines())))
    if one.system:
        lines.append(Content.styled(f"System prompt: {safe(one.system)}", "$muted"))
    return Content("\n").join(lines)
