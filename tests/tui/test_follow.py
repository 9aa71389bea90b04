"""A second window follows a run that another engine works on, from its record alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import script

from engine.federated.event_log import EventLog
from engine.protocol import AnyEvent, Failure, HospitalInfo, Resources, RoundFinished, RoundStarted, RunStarted, Stamped
from engine.settings import DEMO
from fedmed_tui import runs
from fedmed_tui.workspace import Workspace

START = RunStarted(run="elsewhere", config=DEMO, hospitals=(HospitalInfo(name="A", train=9, validation=3, test=3),))
FIRST_ROUND = (RoundStarted(round=1, rounds=3), RoundFinished(round=1, rounds=3, before=2.5, after=2.25, seconds=4.0))

NO_ADAPTER = Failure(job="chat-1", title="Model", message="the adapter is missing.", where="", hint="Train first.")


@pytest.fixture
def log(home: Path) -> EventLog:
    """The record of a run that has begun in another window."""
    folder = home / "output-models" / "elsewhere"
    folder.mkdir(parents=True)
    log = EventLog(folder / "events.jsonl")
    log.append(START)
    return log


def following() -> Workspace:
    """A window that looks at that run."""
    workspace = Workspace()
    workspace.show_run(runs.load_state("elsewhere"))
    return workspace


async def grow(workspace: Workspace, log: EventLog, *events: AnyEvent) -> None:
    """The other engine records something, and this window looks."""
    for event in events:
        log.append(event)
    await workspace.follow()


async def test_what_the_other_engine_records_appears_here(log: EventLog) -> None:
    workspace = following()

    await grow(workspace, log, *FIRST_ROUND)

    assert workspace.run.completed == 1


@pytest.mark.parametrize("seq", [1, 5000])
async def test_events_of_this_windows_own_engine_do_not_disturb_following(log: EventLog, seq: int) -> None:
    workspace = following()

    await grow(workspace, log, FIRST_ROUND[0])
    workspace.take(Stamped(seq=seq, time=script.START, event=Resources(memory_bytes=1)))
    await grow(workspace, log, FIRST_ROUND[1])

    assert workspace.run.completed == 1
    assert len(workspace.run.feed) == 3


def test_an_opened_run_keeps_its_model_and_its_feed_while_the_engine_chats(log: EventLog) -> None:
    workspace = following()

    workspace.take(Stamped(seq=9, time=script.START, event=script.MODEL))
    workspace.take(Stamped(seq=9, time=script.START, event=NO_ADAPTER))

    assert workspace.run.model is None
    assert len(workspace.run.feed) == 1


async def test_the_record_is_read_on_from_where_it_was_read_to(log: EventLog, home: Path) -> None:
    workspace = following()
    await grow(workspace, log, FIRST_ROUND[0])
    record = home / "output-models" / "elsewhere" / "events.jsonl"
    record.write_bytes(b"?" * record.stat().st_size)  # whoever reads it again finds no event in it

    await grow(workspace, log, FIRST_ROUND[1])

    assert workspace.run.completed == 1


async def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(log: EventLog, home: Path) -> None:
    workspace = following()
    record = home / "output-models" / "elsewhere" / "events.jsonl"
    log.append(FIRST_ROUND[0])
    log.append(FIRST_ROUND[1])
    whole = record.read_bytes()
    record.write_bytes(whole[:-20])
    await workspace.follow()

    record.write_bytes(whole)
    await workspace.follow()

    assert workspace.run.completed == 1
    assert len(workspace.run.feed) == 3
