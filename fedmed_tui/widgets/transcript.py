"""What was said with one model, or with several side by side; the end stays in sight while an answer grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from textual import on
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from engine.protocol import DISCLAIMER, SYSTEM_PROMPT
from fedmed_tui.chatdesk import Manner
from fedmed_tui.conversation import Conversation
from fedmed_tui.widgets.adapter_list import Choice
from fedmed_tui.widgets.answer import AnswerView
from fedmed_tui.widgets.exchange import ExchangeView, QuestionView
from fedmed_tui.widgets.panel import Scroll
from fedmed_tui.widgets.text import safe
from fedmed_tui.workspace import Workspace

EARLIER = "─── above: said earlier; the model is not told of it again ───"


class Transcript(Scroll, can_focus=False):
    """The exchanges of a conversation, oldest first.

    Args:
        workspace: the session.
        named: what is known of an adapter.
    """

    follow = True
    DEFAULT_CSS = """
    Transcript {
        height: 1fr; border: round $line; border-title-color: $foreground;
        & > .manner, & > .invitation, & > .earlier { height: auto; color: $muted; padding: 0 1; }
        & > .manner { margin-bottom: 1; }
        & > .earlier { text-align: center; margin-bottom: 1; }
    }
    """

    def __init__(self, workspace: Workspace, named: Callable[[str], Choice]) -> None:
        super().__init__()
        self.workspace = workspace
        self._named = named
        self._shown: Conversation | None = None
        self._told: Manner | None = None
        self._manner = Static(classes="manner", markup=False)
        self._views: list[ExchangeView] = []

    @property
    def messages(self) -> list[AnswerView | QuestionView]:
        """What can be chosen and copied, from above to below."""
        found = (widget for view in self._views for widget in view.query("QuestionView, AnswerView") if widget.display)
        return [widget for widget in found if isinstance(widget, AnswerView | QuestionView)]

    def show(self, conversation: Conversation, manner: Manner, *, anew: bool = False) -> None:
        """Bring the transcript up to date; `anew` draws all of it again."""
        if manner != self._told:
            self._told = manner
            self._manner.update(_in_words(manner))
        kept = {id(exchange) for exchange in conversation.exchanges}
        gone = [view for view in self._views if id(view.exchange) not in kept]
        if conversation is not self._shown or anew:
            self._shown, self._views = conversation, []
            self.remove_children()
            self._manner = Static(_in_words(manner), classes="manner", markup=False)  # the old one goes with the others
            self.mount(self._manner, *self._widgets(conversation))
            return
        for view in gone:
            self._views.remove(view)
            view.remove()
        fresh = conversation.exchanges[len(self._views) :]
        if fresh:
            self.query(".invitation").remove()
            self.scroll_end(animate=False)
            self.mount(*self._grown(ExchangeView(one, self.workspace, self._named) for one in fresh))

    def _widgets(self, conversation: Conversation) -> Iterator[Widget]:
        earlier = [one for one in conversation.exchanges if one.earlier]
        yield from self._grown(ExchangeView(one, self.workspace, self._named) for one in earlier)
        if earlier:
            yield Static(EARLIER, classes="earlier", markup=False)
        now = [one for one in conversation.exchanges if not one.earlier]
        yield from self._grown(ExchangeView(one, self.workspace, self._named) for one in now)
        if not conversation.exchanges:
            yield Static(self._invitation(), classes="invitation", markup=False)

    def _grown(self, views: Iterator[ExchangeView]) -> Iterator[ExchangeView]:
        for view in views:
            self._views.append(view)
            yield view

    def _invitation(self) -> Content:
        lines = ["Enter sends the question, ctrl+j begins a new line, ↑ recalls what was asked before."]
        if self.workspace.run.run:
            lines.append("Shift+Tab goes to the list of models; there Space marks those that answer side by side.")
        else:
            lines.append("Train first (Esc, then s) to ask the hospitals' models too.")
        return Content("\n").join(Content(line) for line in (*lines, DISCLAIMER))

    def toggle_details(self, focused: Widget | None) -> bool:
        """Reasons and sources of the safety rules of the chosen exchange, else the latest; False where none applied."""
        of_focused = [view for view in self._views if focused is not None and view in focused.ancestors]
        for view in of_focused or self._views[-1:]:
            if view.exchange.findings or any(answer.findings for answer in view.exchange.answers.values()):
                view.toggle_details()
                return True
        return False

    @on(ExchangeView.Fixed)
    def read_from_the_beginning(self, event: ExchangeView.Fixed) -> None:
        """An emergency message is longer than a small screen, and its first words matter most."""
        self.call_after_refresh(self._show_top, event.view)

    def _show_top(self, view: ExchangeView) -> None:
        self.release_anchor()
        self.scroll_to_widget(view, animate=False, top=True)

    async def flush(self) -> None:
        """Show the text that has arrived since the last call."""
        for view in list(self._views):
            await view.flush()


def _in_words(manner: Manner) -> Content:
    drawn = f" · temperature {manner.temperature:g}, top-p {manner.top_p:g}" if manner.temperature else ""
    changed = "" if manner.system == SYSTEM_PROMPT else " (your own)"
    return Content.assemble(
        f"System prompt{changed}: {safe(manner.system)} · up to {manner.max_tokens} tokens{drawn}  ",
        ("F2", "bold $accent"),
        " change",
    )
