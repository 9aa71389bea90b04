"""What was said with one model, or with several side by side; the end stays in sight while an answer grows."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual import on
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from engine.protocol import DISCLAIMER, SYSTEM_PROMPT
from fedmed_tui.chatdesk import Manner
from fedmed_tui.conversation import Conversation, Exchange
from fedmed_tui.widgets.adapter_list import Choice
from fedmed_tui.widgets.answer import AnswerView
from fedmed_tui.widgets.exchange import ExchangeView, QuestionView
from fedmed_tui.widgets.panel import Scroll
from fedmed_tui.widgets.text import safe
from fedmed_tui.workspace import Workspace

EARLIER = "─── above: said earlier; the model is not told of it again ───"
SHOWN = 8
"""Answers that stand on the screen; older ones come when they are scrolled to. Thirty would take a second to appear."""


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
        self._above = Static(classes="earlier", markup=False)
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
        if conversation is not self._shown or anew:
            self._begin(conversation, manner)
            return
        kept = {id(exchange) for exchange in conversation.exchanges}
        self._drop([view for view in self._views if id(view.exchange) not in kept])
        fresh = conversation.exchanges[self._older + len(self._views) :]
        if fresh:
            self.query(".invitation").remove()
            self.scroll_end(animate=False)
            views = self._drawn(fresh)
            self._views += views
            self.mount(*views)
            self._drop(self._views[: -self._room])
        self._tell_older()

    def show_older(self) -> None:
        """Show some of what was said before the oldest exchange that stands here, if anything was."""
        older = self._shown.exchanges[: self._older] if self._shown else []
        if not older:
            return
        first = self._views[0]
        self._views[:0] = views = self._drawn(older[-self._room :])
        self.mount(*views, before=first)
        self._tell_older()
        self.call_after_refresh(self.scroll_to_widget, first, animate=False, top=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Who scrolls up to the top reads on."""
        super().watch_scroll_y(old_value, new_value)
        if new_value == 0 < old_value:
            self.show_older()

    def on_mouse_scroll_up(self) -> None:
        """Also where everything that stands here fits on the screen."""
        if self.scroll_y == 0:
            self.show_older()

    @property
    def _room(self) -> int:
        """Exchanges that stand here unless more are scrolled to."""
        return max(1, SHOWN // len(self._shown.adapters)) if self._shown else 1

    @property
    def _older(self) -> int:
        """Exchanges of the conversation before the oldest one that stands here."""
        exchanges = self._shown.exchanges if self._shown else []
        first = self._views[0].exchange if self._views else None
        return next((at for at, exchange in enumerate(exchanges) if exchange is first), 0)

    def _begin(self, conversation: Conversation, manner: Manner) -> None:
        self._shown = conversation
        self._views = self._drawn(conversation.exchanges[-self._room :])
        self.remove_children()
        self._manner = Static(_in_words(manner), classes="manner", markup=False)  # the old ones go with the others
        self._above = Static(classes="earlier", markup=False)
        self.mount(self._manner, self._above, *self._views)
        if not conversation.exchanges:
            self.mount(Static(self._invitation(), classes="invitation", markup=False))
        self._tell_older()

    def _drop(self, views: list[ExchangeView]) -> None:
        for view in views:
            self._views.remove(view)
            view.remove()

    def _tell_older(self) -> None:
        count = self._older
        self._above.display = bool(count)
        self._above.update(Content(f"─── {count} more above: PgUp ───"))

    def _drawn(self, exchanges: Iterable[Exchange]) -> list[ExchangeView]:
        said = [one for one in self._shown.exchanges if one.earlier] if self._shown else []
        ends = {id(one): EARLIER for one in said[-1:]}
        return [ExchangeView(one, self.workspace, self._named, end=ends.get(id(one), "")) for one in exchanges]

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

    def flush(self) -> None:
        """Show the text that has arrived since the last call."""
        for view in self._views:
            view.flush()


def _in_words(manner: Manner) -> Content:
    drawn = f" · temperature {manner.temperature:g}, top-p {manner.top_p:g}" if manner.temperature else ""
    changed = "" if manner.system == SYSTEM_PROMPT else " (your own)"
    return Content.assemble(
        f"System prompt{changed}: {safe(manner.system)} · up to {manner.max_tokens} tokens{drawn}  ",
        ("F2", "bold $accent"),
        " change",
    )
