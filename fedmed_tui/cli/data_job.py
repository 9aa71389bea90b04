"""Run one data job in an engine of its own and print what it said."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.protocol import AnyCommand, AnyEvent, Stamped
from fedmed_tui.cli import DONE
from fedmed_tui.cli.data_text import print_events
from fedmed_tui.cli.output import event_output
from fedmed_tui.cli.session import run_job

JOB = "data"
AsJson = Annotated[bool, typer.Option("--json", help="Standard output is the engine's events, one a line.")]


def run_and_print(command: AnyCommand, *, as_json: bool, events: list[AnyEvent] | None = None) -> int:
    """Run one job; what it said is printed when it is done, and added to `events` as it comes."""
    heard: list[AnyEvent] = [] if events is None else events
    with event_output(as_json=as_json) as show_event:

        def take(stamped: Stamped) -> None:
            heard.append(stamped.event)
            show_event(stamped)

        code = run_job(command, take)
    if code == DONE and not as_json:
        print_events(heard)
    return code
