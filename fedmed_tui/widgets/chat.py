"""The chat's parts: the list of models to ask, one exchange, and the input line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from markdown_it import MarkdownIt
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Markdown, OptionList, Static
from textual.widgets.markdown import MarkdownStream
from textual.widgets.option_list import Option

from engine.protocol import BASE, GLOBAL
from fedmed_tui.conversation import Exchange
from fedmed_tui.disclaimer import DISCLAIMER
from fedmed_tui.standing import best_hospital, latest_weight, local_loss
from fedmed_tui.theme import look
from fedmed_tui.units import duration
from fedmed_tui.widgets.text import number, one_line, plain, safe
from fedmed_tui.workspace import Workspace


@dataclass(frozen=True)
class Choice:
    """One model to ask, with what is known of it."""

    adapter: str
    title: str
    mark: str
    hue: str
    loss: float | None
    weight: float | None
    best: bool


def choices(workspace: Workspace, *, dark: bool) -> list[Choice]:
    """The base model, then the global adapter and each hospital's once there is a run."""
    run = workspace.run
    macro = run.macro_series()
    found = [Choice(BASE, "Base model", "○", "$muted", macro.get(0), None, best=False)]
    if run.run:
        last = macro[max(macro)] if run.completed else None
        found.append(Choice(GLOBAL, "Global", "━", "$accent", last, None, best=False))
    best = best_hospital(run)
    for place, hospital in enumerate(run.hospitals):
        drawn = look(place, dark=dark)
        losses = (local_loss(run, hospital.name), latest_weight(run, hospital.name))
        title = f"Hospital {hospital.name}"
        found.append(Choice(hospital.name, title, drawn.mark, drawn.hue, *losses, best=hospital.name == best))
    return found


class AdapterList(OptionList):
    """Which model answers. Each with its last validation loss, its weight, and a star for the lowest loss."""

    SCOPED_CSS = False
    DEFAULT_CSS = """
    AdapterList {
        width: 32; height: 1fr; border: round $line; border-title-color: $muted; background: $background; padding: 0 1;
        &:focus { border: round $accent; }
    }
    .-medium AdapterList { width: 24; }
    .-small AdapterList { width: 18; }
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(markup=False)
        self.workspace = workspace
        self.border_title = "Ask"
        self._shown: list[Choice] = []
        self._width = 0

    def on_resize(self) -> None:
        """Another width, other line breaks."""
        self.draw()

    @property
    def _prompt_width(self) -> int:
        return max(self.size.width - 2, 10)  # the cells an option keeps free at its sides

    @property
    def adapter(self) -> str:
        """The chosen one."""
        at = self.highlighted
        return self._shown[at].adapter if at is not None and at < len(self._shown) else BASE

    def draw(self) -> None:
        """Bring the numbers up to date; the choice stays where it is."""
        now = choices(self.workspace, dark=self.app.current_theme.dark)
        if (now, self._prompt_width) == (self._shown, self._width):
            return
        self._width = self._prompt_width
        chosen = self.adapter
        if [one.adapter for one in now] == [one.adapter for one in self._shown]:
            for at, one in enumerate(now):
                self.replace_option_prompt_at_index(at, _prompt(one, self._prompt_width))
            self._shown = now
            return
        self._shown = now
        self.clear_options()
        self.add_options([Option(_prompt(one, self._prompt_width)) for one in now])
        self.choose(chosen)

    def choose(self, adapter: str) -> None:
        """Choose an adapter by name; the base model when there is none of that name."""
        names = [one.adapter for one in self._shown]
        self.highlighted = names.index(adapter) if adapter in names else 0


def _prompt(choice: Choice, width: int) -> Content:
    """Name and facts; facts below each other where there is little room, and a long name is cut."""
    star = (" ★ best" if width >= 20 else " ★") if choice.best else ""
    room = width - 2 - len(star)
    name = one_line(choice.title if len(choice.title) <= room else choice.adapter, room)
    first = Content.assemble((f"{choice.mark} ", choice.hue), name, (star, "$accent"))
    facts = [f"loss {number(choice.loss)}"] if choice.loss is not None else []
    facts += [f"weight {choice.weight:.2f}"] if choice.weight is not None else []
    between = " · " if len(" · ".join(facts)) + 2 <= width else "\n  "
    return first + Content.styled("\n  " + between.join(facts), "$muted") if facts else first


class QuestionInput(Input):
    """Where the question is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Send", id="chat.send", tooltip="send the question")]
    DEFAULT_CSS = """
    QuestionInput {
        border: round $line; background: $background; height: 3;
        &:focus { border: round $accent; background-tint: $foreground 0%; }
    }
    """


def _parser() -> MarkdownIt:
    """Markdown without HTML: a model's `<b>` is shown instead of being left out."""
    return MarkdownIt("gfm-like", {"html": False})


class ExchangeView(Vertical):
    """A question, its answer as it grows, and below it how fast it came and that it is no medical advice."""

    DEFAULT_CSS = """
    ExchangeView { height: auto; margin-bottom: 1; }
    ExchangeView > .question { color: $accent; text-style: bold; padding: 0 1; }
    ExchangeView > Markdown { background: $background; padding: 0 1; margin: 0; height: auto; }
    ExchangeView > .status { color: $muted; padding: 0 1; }
    """

    def __init__(self, exchange: Exchange, workspace: Workspace) -> None:
        super().__init__()
        self.exchange = exchange
        self.workspace = workspace
        self._complete = not exchange.open
        complete_text = safe(exchange.answer) if self._complete else ""
        self._answer = Markdown(complete_text, parser_factory=_parser, open_links=False)
        self._status_line = Static(classes="status", markup=False)
        self._stream: MarkdownStream | None = None
        self._written = 0
        self._ready = False

    def compose(self) -> ComposeResult:
        """Question, answer, status."""
        yield Static(Content.assemble("› ", safe(self.exchange.question)), classes="question", markup=False)
        yield self._answer
        yield self._status_line

    def on_mount(self) -> None:
        """From now on the answer may grow: before, the widget for it would have overwritten the text with its own start."""
        self._ready = True
        self._status_line.update(self._status())

    async def flush(self) -> None:
        """Show the text that has arrived since the last call."""
        if self._complete or not self._ready:
            return
        text = self.exchange.answer
        if len(text) > self._written:
            self._stream = self._stream or Markdown.get_stream(self._answer)
            await self._stream.write(safe(text[self._written :]))
            self._written = len(text)
        if not self.exchange.open:
            self._complete = True
            if self._stream is not None:
                await self._stream.stop()
        self._status_line.update(self._status())

    def _status(self) -> Content:
        exchange = self.exchange
        if exchange.failure:
            why = Content.assemble(("✖ ", "$error"), plain(exchange.failure))
            return Content("\n").join([why, Content(DISCLAIMER)]) if exchange.answer else why
        if exchange.finished is None:
            return Content.styled("answering" if exchange.answer else self._waiting(), "$muted")
        end = exchange.finished
        facts = [f"{end.tokens} tokens", f"first after {duration(end.first_token_seconds)}"]
        if exchange.tokens_per_second is not None:
            facts.insert(0, f"{exchange.tokens_per_second:.1f} tokens/s")
        facts += ["stopped"] if end.stopped else []
        note = [Content.assemble(("! ", "$warning"), plain(end.note))] if end.note else []
        return Content("\n").join([*note, Content(DISCLAIMER), Content(" · ".join(facts))])

    def _waiting(self) -> str:
        progress = self.workspace.status.progress
        if progress is None:
            return "◌ thinking"
        share = f" {progress.done / progress.total:.0%}" if progress.total else ""
        return f"◌ {safe(progress.what)}{share}"
