"""Whom to ask: the base model, the shared adapter, each hospital's own, the shared one of earlier rounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.protocol import BASE, GLOBAL
from fedmed_tui.standing import latest_weight, local_loss
from fedmed_tui.state import RunState
from fedmed_tui.theme import look
from fedmed_tui.widgets.text import number, one_line, safe
from fedmed_tui.workspace import Workspace

MOST_COMPARED = 4
EARLIER = 50
"""Rounds before the last whose global adapter is listed."""


@dataclass(frozen=True)
class Choice:
    """One model to ask, with what is known of it."""

    adapter: str
    title: str
    mark: str
    hue: str
    loss: float | None
    weight: float | None = None
    best: bool = False

    @property
    def facts(self) -> list[str]:
        """`loss 0.0416 (best)`, `weight 0.547`."""
        loss = [f"loss {number(self.loss, 4)}{' (best)' if self.best else ''}"] if self.loss is not None else []
        return loss + ([f"weight {number(self.weight)}"] if self.weight is not None else [])

    @property
    def line(self) -> str:
        """`Hospital B · loss 0.0416 (best) · weight 0.547`."""
        return " · ".join((safe(self.title), *self.facts))


def choices(workspace: Workspace, *, dark: bool) -> list[Choice]:
    """The base model, then the global adapter, each hospital's, and the global one after earlier rounds."""
    run = workspace.run
    macro = run.macro_series()
    found = [Choice(BASE, "Base model", "○", "$muted", macro.get(0))]
    if run.run:
        found.append(Choice(GLOBAL, "Global", "━", "$accent", macro[max(macro)] if macro and run.completed else None))
    found += _hospitals(run, dark=dark)
    for number_ in range(run.completed - 1, max(0, run.completed - 1 - EARLIER), -1):
        found.append(Choice(f"{GLOBAL}@{number_}", f"Global, round {number_}", "┄", "$muted", macro.get(number_)))
    return found


def _hospitals(run: RunState, *, dark: bool) -> Iterator[Choice]:
    """Each with the loss of its own adapter on its own validation pairs; the lowest is the best."""
    losses = {hospital.name: local_loss(run, hospital.name) for hospital in run.hospitals}
    known = [loss for loss in losses.values() if loss is not None]
    for place, (name, loss) in enumerate(losses.items()):
        drawn = look(place, dark=dark)
        best = len(known) > 1 and loss == min(known)
        yield Choice(name, f"Hospital {name}", drawn.mark, drawn.hue, loss, latest_weight(run, name), best)


class AdapterList(OptionList):
    """Which model answers; with the space key several are marked, to be compared."""

    SCOPED_CSS = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Compare", id="chat.mark", show=False, tooltip="mark 2 to 4 models: they answer side by side")
    ]
    DEFAULT_CSS = """
    AdapterList {
        width: 42; height: 1fr; border: round $line; border-title-color: $muted; border-subtitle-color: $muted;
        background: $background; padding: 0 1; scrollbar-size-vertical: 1;
        &:focus { border: round $accent; }
    }
    .-medium AdapterList, .-comparing AdapterList { width: 24; }
    .-small AdapterList { width: 20; }
    """

    class Changed(Message):
        """Other adapters are to be asked."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(markup=False)
        self.workspace = workspace
        self.border_title = "Ask"
        self._shown: list[Choice] = []
        self._marked: list[str] = []
        self._drawn: tuple[object, ...] = ()
        self._offered = ""
        """The run whose shared adapter was put forward."""

    def on_resize(self) -> None:
        """Another width, other line breaks."""
        self.draw()

    @property
    def adapters(self) -> tuple[str, ...]:
        """Whom a question goes to, in the order of the list."""
        if len(self._marked) > 1:
            return tuple(one.adapter for one in self._shown if one.adapter in self._marked)
        at = self.highlighted
        return (self._shown[at].adapter,) if at is not None and at < len(self._shown) else (BASE,)

    @property
    def chosen(self) -> list[Choice]:
        """Those that are asked, with what is known of them."""
        return [one for one in self._shown if one.adapter in self.adapters]

    def named(self, adapter: str) -> Choice:
        """What is known of an adapter; its bare name when the run on the screens has none such."""
        found = next((one for one in self._shown if one.adapter == adapter), None)
        return found or Choice(adapter, adapter, "·", "$muted", None)

    def draw(self) -> None:
        """Bring the numbers up to date; the choice stays where it is."""
        now = choices(self.workspace, dark=self.app.current_theme.dark)
        width = max(self.size.width - 2, 10)  # the cells an option keeps free at its sides
        drawn = (now, tuple(self._marked), width)
        if drawn == self._drawn:
            return
        before, self._drawn = self.adapters, drawn
        prompts = [_prompt(one, width, marked=one.adapter in self._marked) for one in now]
        if [one.adapter for one in now] == [one.adapter for one in self._shown]:
            self._shown = now
            for at, prompt in enumerate(prompts):
                self.replace_option_prompt_at_index(at, prompt)
        else:
            self._shown = now
            self._marked = [name for name in self._marked if name in {one.adapter for one in now}]
            self.clear_options()
            self.add_options([Option(prompt) for prompt in prompts])
            self._highlight(before[0])
        self._offer_global()
        self.border_subtitle = "space compare" if len(now) > 1 and width >= 18 else ""

    def choose(self, adapter: str) -> None:
        """Ask one adapter by name; the base model when there is none of that name."""
        self._marked = []
        self._highlight(adapter)
        self._tell()

    def compare(self, adapters: tuple[str, ...]) -> None:
        """Ask several."""
        self._marked = list(adapters)
        self._tell()

    def action_mark(self) -> None:
        """Mark the adapter under the cursor, or take its mark away."""
        if self.highlighted is None:
            return
        name = self._shown[self.highlighted].adapter
        if name in self._marked:
            self._marked.remove(name)
        elif len(self._marked) < MOST_COMPARED:
            self._marked.append(name)
        else:
            self.notify(f"At most {MOST_COMPARED} answer side by side.", severity="warning")
        self._tell()

    def _offer_global(self) -> None:
        """A run with a shared adapter: it is what one wants to ask, unless somebody has begun to talk to the base model."""
        run = self.workspace.run
        if run.completed and run.run != self._offered:
            self._offered = run.run
            talking = any(not one.earlier for one in self.workspace.conversation((BASE,)).exchanges)
            if self.adapters == (BASE,) and not self.has_focus and not talking:
                self._highlight(GLOBAL)

    def _highlight(self, adapter: str) -> None:
        names = [one.adapter for one in self._shown]
        self.highlighted = names.index(adapter) if adapter in names else 0

    def _tell(self) -> None:
        self.draw()
        self.post_message(self.Changed())


def suggested(run: RunState) -> tuple[str, ...]:
    """What is worth comparing: the base model, the first two hospitals, the shared adapter."""
    hospitals = tuple(hospital.name for hospital in run.hospitals[:2])
    return (BASE, *hospitals, GLOBAL) if run.run else ()


def _prompt(choice: Choice, width: int, *, marked: bool) -> Content:
    """Name and facts; facts below each other where there is little room, and a long name is cut."""
    mark = "✓ " if marked else f"{choice.mark} "
    star = " ★" if choice.best else ""
    room = width - 2 - len(star)
    name = one_line(choice.title if len(choice.title) <= room else choice.adapter, room)
    first = Content.assemble((mark, "bold $accent" if marked else choice.hue), name, (star, "$accent"))
    facts, indent = choice.facts, "  "
    if len(max(facts, key=len, default="")) + 2 > width:
        facts = replace(choice, best=False).facts
        indent = "  " if len(max(facts, key=len, default="")) + 2 <= width else ""
    between = " · " if len(" · ".join(facts)) + 2 <= width else f"\n{indent}"
    return first + Content.styled(f"\n{indent}" + between.join(facts), "$muted") if facts else first
