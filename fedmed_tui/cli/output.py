"""How a headless command shows the engine's events: bars on a terminal, sentences in a pipe, or the events themselves."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from engine.plain_text import is_obeyed, on_one_line
from engine.protocol import (
    Aggregated,
    Evaluated,
    Failure,
    ModelLoaded,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunStarted,
    Stamped,
    StepDone,
    TrainingStarted,
    UpdateReceived,
    encode_event,
)
from engine.protocol import Progress as WorkProgress
from fedmed_tui.cli.session import OnEvent
from fedmed_tui.feed import sentence
from fedmed_tui.pace import fraction, seconds_left
from fedmed_tui.state import RunState
from fedmed_tui.units import duration


@contextmanager
def event_output(*, as_json: bool) -> Iterator[OnEvent]:
    """The right way to show events on this standard output."""
    if as_json:
        yield print_json
    elif sys.stdout.isatty():
        with TerminalOutput() as output:
            yield output
    else:
        yield PlainOutput()


def print_json(stamped: Stamped) -> None:
    """The event as the engine said it, one line."""
    line = encode_event(stamped)
    if not line.isascii() or b"\x7f" in line:  # what is below a space, JSON has escaped already
        line = "".join(_escaped(character) for character in line.decode()).encode()
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _escaped(character: str) -> str:
    """As JSON writes it, which is the same text to a program, and nothing that a terminal obeys."""
    return json.dumps(character)[1:-1] if is_obeyed(character) and character != "\x7f" else character.replace("\x7f", "\\u007f")


class PlainOutput:
    """One sentence a line, for pipes and logs."""

    def __init__(self) -> None:
        self._work = ""
        self._sentences = Sentences()

    def __call__(self, stamped: Stamped) -> None:
        event = stamped.event
        if isinstance(event, WorkProgress) and event.what != self._work:
            self._work = event.what
            print(_capitalised(on_one_line(event.what)), flush=True)
        elif text := self._sentences.of(stamped):
            print(text, flush=True)


class TerminalOutput:
    """Sentences scroll, bars stay below: one for the run, one for the work in hand."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, TextColumn("{task.fields[note]}", markup=False), console=Console(highlight=False))
        self._run = self._bars.add_task("", visible=False, note="")
        self._work = self._bars.add_task("", visible=False, note="")
        self._state = RunState()
        self._sentences = Sentences()

    def __enter__(self) -> TerminalOutput:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        for task in (self._run, self._work):
            self._bars.update(task, visible=False)
        self._bars.stop()

    def __call__(self, stamped: Stamped) -> None:
        self._state.apply(stamped)
        if text := self._sentences.of(stamped):
            self._bars.console.print(Text(text))
        match stamped.event:
            case WorkProgress(what=what, done=done, total=total):
                self._show_work(_capitalised(what), done, total)
            case TrainingStarted(hospital=hospital, steps=steps):
                self._show_work(f"{hospital} trains", 0, steps)
            case StepDone(hospital=hospital, step=step, steps=steps, loss=loss):
                self._show_work(f"{hospital} trains", step, steps, f"training loss {loss:.3f}")
                self._show_run(stamped.time)
            case RunStarted() | RoundStarted() | UpdateReceived() | Aggregated() | Evaluated() | RoundFinished() | RunFinished():
                self._show_run(stamped.time)

    def _show_work(self, what: str, done: int, total: int, note: str = "") -> None:
        what = on_one_line(what)
        if self._bars.tasks[self._work].description != what:
            self._bars.reset(self._work)
        self._bars.update(self._work, description=what, completed=done, total=total or None, note=note, visible=True)

    def _show_run(self, now: float) -> None:
        state = self._state
        done = fraction(state, now) * state.total_rounds
        left = seconds_left(state, now)
        note = "" if left is None else f"{duration(left)} left"
        name = f"Round {min(state.completed + 1, state.total_rounds)} of {state.total_rounds}"
        self._bars.update(self._run, description=name, completed=done, total=state.total_rounds, note=note, visible=True)


class Sentences:
    """Events as lines, each said once."""

    def __init__(self) -> None:
        self._loaded: ModelLoaded | None = None

    def of(self, stamped: Stamped) -> str:
        """The event's sentence, or "" for one that needs none here."""
        event = stamped.event
        if isinstance(event, Failure):  # the command ends with it as its error
            return ""
        if isinstance(event, ModelLoaded):  # said when it is loaded, and again for the record of the run
            if event == self._loaded:
                return ""
            self._loaded = event
        return on_one_line(sentence(event))


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
