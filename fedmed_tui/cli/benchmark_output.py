"""How a headless benchmark tells how far it is, on standard error: two bars on a terminal, a sentence an item elsewhere."""

from __future__ import annotations

import sys
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from engine.benchmark.results import SUITES
from engine.plain_text import on_one_line
from engine.protocol import BenchmarkProgress, Stamped, SuiteMeasured
from engine.protocol import Progress as WorkProgress
from fedmed_tui.benchmarking import Benchmarking
from fedmed_tui.units import duration


class BenchmarkOutput:
    """Takes the engine's events, keeps `state` up to date and shows it."""

    def __init__(self, state: Benchmarking) -> None:
        self._state = state
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        note = TextColumn("{task.fields[note]}", markup=False)
        self._bars = Progress(*columns, note, console=Console(stderr=True, highlight=False), disable=not sys.stderr.isatty())
        self._all = self._bars.add_task("Benchmark", total=1.0, note="")
        self._item = self._bars.add_task("", total=1.0, visible=False, note="")
        self._told = ""

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, stamped: Stamped) -> None:
        """One event."""
        event = stamped.event
        self._state.take(event)
        match event:
            case WorkProgress(what=what):
                self._tell(what)
            case BenchmarkProgress(item=item, fraction=fraction, overall=overall, seconds_left=left):
                self._tell(item)
                self._bars.update(self._all, completed=overall, note="" if left is None else f"about {duration(left)} left")
                self._bars.update(self._item, description=on_one_line(item), completed=fraction, visible=True)
            case SuiteMeasured(suite=suite, results=results):
                why = results.skipped.get(suite, "")
                self._say(f"{SUITES[suite]}: {f'not measured: {why}' if why else 'done'}.")

    def _tell(self, what: str) -> None:
        """Each new piece of work once, where there are no bars."""
        if what != self._told:
            self._told = what
            if self._bars.disable:
                self._say(f"{what[:1].upper()}{what[1:]} …")

    def _say(self, text: str) -> None:
        if self._bars.disable:
            print(on_one_line(text), file=sys.stderr, flush=True)
        else:
            self._bars.console.print(on_one_line(text), markup=False)
