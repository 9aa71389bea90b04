"""One question with its answers: side by side where there is room, below each other where there is not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from engine.protocol import SYSTEM_PROMPT, Guarded
from fedmed_tui.conversation import Exchange
from fedmed_tui.widgets.adapter_list import Choice
from fedmed_tui.widgets.answer import AnswerView
from fedmed_tui.widgets.text import plain, safe
from fedmed_tui.workspace import Workspace

NARROWEST = 22
"""Cells of one answer; with fewer, answers stand below each other."""


class QuestionView(Static, can_focus=True):
    """The question. With the focus on it, `y` copies it."""

    DEFAULT_CSS = """
    QuestionView { color: $accent; text-style: bold; padding: 0 1; height: auto; }
    QuestionView:focus { background: $panel; }
    """

    def __init__(self, question: str) -> None:
        super().__init__(Content.assemble("› ", safe(question)), markup=False)
        self.text = question


class ExchangeView(Vertical):
    """A question, what the guardrails say to it, its answers, and who might answer it best.

    Args:
        exchange: it.
        workspace: the session.
        named: what is known of an adapter.
        end: a line below it.
    """

    DEFAULT_CSS = """
    ExchangeView { height: auto; margin-bottom: 1; }
    ExchangeView > .notice { height: auto; padding: 0 1; margin: 0 1; display: none; border-left: thick $warning; }
    ExchangeView.-emergency > .answers {
        border: heavy $error; border-title-color: $error; border-title-style: bold; margin: 0 1;
    }
    ExchangeView.-refused > .answers { border: round $warning; border-title-color: $warning; margin: 0 1; }
    ExchangeView > .answers { height: auto; layout: vertical; }
    ExchangeView.-beside > .answers { layout: horizontal; }
    ExchangeView.-beside > .answers > AnswerView { width: 1fr; }
    ExchangeView > .hint, ExchangeView > .rules { height: auto; color: $muted; padding: 0 1; display: none; }
    ExchangeView.-earlier { opacity: 75%; }
    ExchangeView > .end { height: auto; color: $muted; padding: 0 1; margin-top: 1; text-align: center; }
    """

    class Fixed(Message):
        """A rule's message stands instead of an answer, in full."""

        def __init__(self, view: ExchangeView) -> None:
            super().__init__()
            self.view = view

    def __init__(self, exchange: Exchange, workspace: Workspace, named: Callable[[str], Choice], *, end: str = "") -> None:
        super().__init__(classes="-earlier" if exchange.earlier else "")
        self.exchange = exchange
        self.workspace = workspace
        self._named = named
        self._end = end
        self.settled = False
        """Everything of it is on the screen, and nothing more can come."""
        several = len(exchange.adapters) > 1
        self._views = [AnswerView(one, workspace, named(one.adapter) if several else None) for one in exchange.answers.values()]
        self._answers = Container(*self._views, classes="answers")
        self._notice, self._rules, self._hint = (Static(classes=name, markup=False) for name in ("notice", "rules", "hint"))
        self.detailed = False
        """Rules are told with their reasons and sources."""

    def compose(self) -> ComposeResult:
        """See the class."""
        yield QuestionView(self.exchange.question)
        yield self._notice
        yield self._answers
        yield self._rules
        yield self._hint
        if self._end:
            yield Static(self._end, classes="end", markup=False)

    def on_mount(self) -> None:
        """Show what is known already."""
        self._draw()

    def on_resize(self) -> None:
        """Answers stand side by side where each has room enough."""
        count = len(self._views)
        self.set_class(count > 1 and self.size.width // count >= NARROWEST, "-beside")

    def flush(self) -> None:
        """Show what has arrived since the last call. Costs nothing once nothing more can come."""
        if self.settled or not self.is_mounted:
            return
        settled = self.workspace.chat.job != self.exchange.job
        self._compare_scores()
        for view in self._views:
            view.flush()
        self._draw()
        self.settled = settled
        if settled and self.exchange.fixed is not None:
            self.post_message(self.Fixed(self))

    def toggle_details(self) -> None:
        """Tell the safety rules with or without reasons and sources."""
        self.detailed = not self.detailed
        self._draw()
        self.call_after_refresh(self._rules.scroll_visible, animate=False)

    # --- what stands around the answers ----------------------------------------------------------------------------------------

    def _draw(self) -> None:
        exchange = self.exchange
        if exchange.fixed is not None:
            self._mark_fixed(exchange.fixed)
        _show(self._notice, Content("\n\n").join(plain(note.message.strip()) for note in exchange.notes))
        _show(self._rules, Content("\n").join(self._rule_lines()))
        _show(self._hint, self._hint_line())

    def _compare_scores(self) -> None:
        scores = {view: view.answer.score.loss for view in self._views if view.answer.score is not None}
        for view, loss in scores.items():
            view.best_score = len(scores) > 1 and loss == min(scores.values())

    def _mark_fixed(self, rule: Guarded) -> None:
        """A rule's message is no model's answer, and must not look like one. It is told once, and read from its beginning."""
        if self._answers.border_title:
            return
        emergency = rule.layer == "triage"
        self.set_class(emergency, "-emergency")
        self.set_class(not emergency, "-refused")
        self._answers.border_title = "⚠ Get help now" if emergency else "Not answered by a model"
        for view in self._views[1:]:
            view.display = False
        self.remove_class("-beside")

    def _rule_lines(self) -> Iterator[Content]:
        exchange = self.exchange
        found = [("", rule) for rule in exchange.findings]
        found += [(answer.adapter, rule) for answer in exchange.answers.values() for rule in answer.findings]
        if exchange.system != SYSTEM_PROMPT and (self.detailed or not found):
            yield Content.assemble("System prompt: ", safe(exchange.system))
        if not found:
            return
        if self.detailed:
            for adapter, rule in found:
                yield from _in_detail(rule, adapter if len(self._views) > 1 else "")
            return
        titles = list(dict.fromkeys(safe(rule.title) for _, rule in found))
        yield Content.assemble(("Safety: ", "$warning"), ", ".join(titles), "  ", ("d", "bold $accent"), " why")

    def _hint_line(self) -> Content:
        hint = self.exchange.hint
        if hint is None:
            return Content("")
        ranked = sorted(hint.losses.items(), key=lambda item: item[1])
        listed = " · ".join(f"{safe(name)} {math.exp(loss):.1f}" for name, loss in ranked)
        return Content.assemble(
            "Who would answer this best? Perhaps ",
            (safe(self._named(hint.best).title), "$foreground"),
            f": the question surprises it least (perplexity {listed}). A hint only.",
        )


def _in_detail(rule: Guarded, adapter: str) -> Iterable[Content]:
    what = {"answered": "answered instead of a model", "withheld": "left a sentence out", "noted": "noted"}[rule.action]
    whose = f"{safe(adapter)}: " if adapter else ""
    yield Content.assemble((f"{whose}{safe(rule.title)}", "$warning"), f" — rule {safe(rule.rule)} ({rule.layer}), {what}")
    yield plain(f"  Why: {rule.reason}")
    yield plain(f"  Source: {rule.source}")
    if rule.matched:
        yield plain(f"  Words: {rule.matched}")


def _show(widget: Static, content: Content) -> None:
    """Show it, or nothing at all where there is nothing to tell."""
    before = widget.content
    if isinstance(before, Content) and content.is_same(before):
        return
    widget.display = bool(content.plain)
    widget.update(content)
