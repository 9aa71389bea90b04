"""One answer as it grows: Markdown, then what the guardrails left out, how fast it came, and that it is no medical advice."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from engine.protocol import DISCLAIMER
from fedmed_tui.conversation import Answer
from fedmed_tui.units import duration
from fedmed_tui.widgets.adapter_list import Choice
from fedmed_tui.widgets.markdown import MarkdownText
from fedmed_tui.widgets.text import plain, safe
from fedmed_tui.workspace import Workspace


class AnswerView(Vertical, can_focus=True):
    """An answer. With the focus on it, `y` copies it.

    Args:
        answer: it.
        workspace: tells what the engine is busy with before the first word.
        whose: the adapter's title and mark, where several answers stand side by side.
    """

    DEFAULT_CSS = """
    AnswerView { height: auto; padding: 0 1; }
    AnswerView:focus { background: $panel; }
    AnswerView > MarkdownText { margin-bottom: 1; }
    AnswerView > .status { color: $muted; }
    """

    def __init__(self, answer: Answer, workspace: Workspace, whose: Choice | None) -> None:
        super().__init__()
        self.answer = answer
        self.workspace = workspace
        self._whose = whose
        self._markdown = MarkdownText(answer.text)
        self._status = Static(classes="status", markup=False)
        self.best_score = False
        """It finds the reference answer likelier than the others do."""

    @property
    def text(self) -> str:
        """What is copied."""
        return self.answer.text

    def compose(self) -> ComposeResult:
        """Whose it is, answer, status."""
        if self._whose is not None:
            yield Static(
                Content.assemble((f"{self._whose.mark} ", self._whose.hue), (safe(self._whose.title), "bold")), markup=False
            )
        yield self._markdown
        yield self._status

    def on_mount(self) -> None:
        """Show what is known already."""
        self.flush()

    def flush(self) -> None:
        """Show the text that has arrived since the last call."""
        self._markdown.write(self.answer.text)
        self._markdown.display = bool(self.answer.text)
        facts = self._facts()
        if not facts.is_same(self._status.content if isinstance(self._status.content, Content) else Content("")):
            self._status.update(facts)

    def _facts(self) -> Content:
        return Content("\n").join(self._lines())

    def _lines(self) -> Iterator[Content]:
        answer = self.answer
        if answer.failure:
            yield Content.assemble(("✖ ", "$error"), plain(answer.failure))
        elif answer.finished is None:
            yield Content("answering" if answer.text else self._waiting())
        if answer.finished is not None and answer.finished.note:
            yield Content.assemble(("! ", "$warning"), plain(answer.finished.note))
        if answer.score is not None:
            star = " ★" if self.best_score else ""
            yield Content.assemble(
                ("reference answer ", ""),
                (f"{-answer.score.loss:.3f}", "$foreground"),
                (star, "$accent"),
                " log-likelihood a token",
            )
        if answer.text:
            yield plain(answer.finished.disclaimer if answer.finished else DISCLAIMER)
        if answer.tokens_per_second is not None:
            yield Content(" · ".join(self._pace()))

    def _pace(self) -> Iterator[str]:
        end, rate = self.answer.finished, self.answer.tokens_per_second
        if end is None or rate is None:
            return
        yield f"{rate:.1f} tokens/s"
        yield f"{end.tokens} tokens"
        if end.first_token_seconds:
            yield f"first after {duration(end.first_token_seconds)}"
        if end.stopped:
            yield "stopped"

    def _waiting(self) -> str:
        progress = self.workspace.status.progress
        if progress is None or progress.job != self.workspace.chat.job:
            return "◌ thinking"
        share = f" {progress.done / progress.total:.0%}" if progress.total else ""
        return f"◌ {safe(progress.what)}{share}"
