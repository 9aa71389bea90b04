"""`fedmed-tui runs`, `replay` and `export`: what earlier runs left, read without the engine."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from engine import locations
from engine.plain_text import on_one_line
from fedmed_tui import export as exporting
from fedmed_tui import runs as run_folders
from fedmed_tui.cli.output import print_json
from fedmed_tui.cli.tables import add_row, console, new_table
from fedmed_tui.report import UNKNOWN
from fedmed_tui.state import RunState

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's name; `fedmed-tui runs` lists them.")]


def runs() -> None:
    """List the runs in output-models/, newest first."""
    found, unreadable = run_folders.list_runs(), run_folders.unreadable_runs()
    for error in unreadable:
        print(on_one_line(f"Left out: {error}"), file=sys.stderr)
    if not found:
        if not unreadable:
            print(f"No runs in {locations.runs_folder()} yet. `fedmed-tui train` makes one.", file=sys.stderr)
        return
    table = new_table("run", "started", "rounds", "status", "hospitals", "adapters")
    for manifest in found:
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest.created))
        rounds = f"{manifest.completed} of {manifest.rounds}"
        adapters = ", ".join(run_folders.adapters(manifest.run)) or UNKNOWN
        add_row(table, manifest.run, started, rounds, manifest.status, ", ".join(manifest.hospitals), adapters)
    console().print(table)


def replay(
    run: RunArgument,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Standard output is the run's events, one a line.")] = False,
) -> None:
    """Tell a run again: its events, its rounds."""
    events = run_folders.load_events(run)
    if as_json:
        for stamped in events:
            print_json(stamped)
        return
    state = RunState()
    for stamped in events:
        state.apply(stamped)
    for line in state.feed:
        print(f"{time.strftime('%H:%M:%S', time.localtime(line.time))}  {on_one_line(line.text)}")
    if state.rounds:
        print()
        console().print(_rounds_table(state))
        print("Loss: validation loss of the global adapter at each hospital, in nats per answer token.")


def export(
    run: RunArgument,
    *,
    to: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write below this folder.", show_default="the run's")] = None,
) -> None:
    """Write a run's numbers into a folder.

    As JSON, CSV and a Markdown report; prints the new folder's path.
    """
    print(exporting.export_run(run, to))


def _rounds_table(state: RunState) -> Table:
    """Validation loss of the global adapter at each hospital with its weight, round by round."""
    names = [hospital.name for hospital in state.hospitals]
    macro, series = state.macro_series(), [state.loss_series(name) for name in names]
    figures = [*(f"{name} loss" for name in names), "mean", *(f"{name} weight" for name in names)]
    table = new_table("round", *figures, right=figures)
    for number, at in sorted(state.rounds.items()):
        losses = [one.get(number) for one in series]
        weights = [hospital.weight.weight if (hospital := at.hospitals.get(name)) and hospital.weight else None for name in names]
        cells = [_decimal(value, 3) for value in (*losses, macro.get(number))] + [_decimal(value, 2) for value in weights]
        add_row(table, str(number) if number else "base", *cells)
    return table


def _decimal(value: float | None, decimals: int) -> str:
    return UNKNOWN if value is None else f"{value:.{decimals}f}"
