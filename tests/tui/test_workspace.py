"""The session behind the screens, without a screen."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise

import pytest
import script
from conftest import run_asked_for

from engine.errors import EngineError
from engine.protocol import JobFinished, Progress, RunFinished, Stamped
from engine.settings import DEMO, LoraSettings, RunConfig
from fedmed_tui.engine_client import EngineExit
from fedmed_tui.state import RunState
from fedmed_tui.widgets.chart import MOST_POINTS, thinned
from fedmed_tui.workspace import Workspace


def told(workspace: Workspace, *events: object) -> Workspace:
    """The workspace after these events."""
    for event in events:
        workspace.take(Stamped(seq=1, time=script.START, event=event))  # type: ignore[arg-type]
    return workspace


def after_a_run(until: int | None = None) -> Workspace:
    """The workspace after the first `until` events of a run."""
    workspace = Workspace()
    with run_asked_for(workspace):
        return told(workspace, script.READY, *list(script.run_events())[:until])


def test_nothing_can_be_asked_of_an_engine_that_does_not_run() -> None:
    workspace = Workspace()

    with pytest.raises(EngineError, match="Press r"):
        workspace.chat.ask(workspace.place, ("base",), "thirst?")

    assert workspace.conversation(("base",)).exchanges == []


def test_the_base_model_has_one_conversation_and_a_hospital_one_per_run() -> None:
    workspace = Workspace()
    base, hospital = workspace.conversation(("base",)), workspace.conversation(("A",))

    workspace.live.run = "another"

    assert workspace.conversation(("base",)) is base
    assert workspace.conversation(("A",)) is not hospital


def test_what_an_import_writes_is_not_mixed_with_the_folder_on_the_screens() -> None:
    workspace = Workspace()
    workspace.data_job = "data-1"

    told(workspace, script.partition("A", "data-1"), script.partition("North", "data-2"))

    assert list(workspace.partitions) == ["A"]


def test_a_model_loaded_before_the_run_begins_is_named_once() -> None:
    workspace = Workspace()
    workspace.run_job, workspace.preparing = "run-1", True
    workspace.live.run = script.RUN
    begins = next(script.run_events(completed=1))

    told(workspace, script.MODEL, begins, script.MODEL)

    assert sum("Loaded" in line.text for line in workspace.run.feed) == 1


LOADING = Progress(job="run-1", what="loading", done=1, total=2)


@pytest.mark.parametrize(
    ("events", "run_job", "expected"),
    [
        ([], "", "starting"),
        ([script.READY], "", "ready"),
        ([script.READY, LOADING], "run-1", "loading"),
        ([script.READY, LOADING, script.MODEL], "run-1", "training"),
        ([script.READY, LOADING, JobFinished(job="run-1", outcome="failed")], "run-1", "ready"),
    ],
)
def test_the_activity_is_one_word(events: list[object], run_job: str, expected: str) -> None:
    workspace = Workspace()
    workspace.run_job = run_job

    assert told(workspace, *events).activity == expected


def test_a_run_is_resumable_when_it_was_cut_short_and_nothing_works_on_it() -> None:
    cut_short, working, done = after_a_run(60), after_a_run(60), after_a_run()
    working.run_job = "run-1"

    assert (cut_short.resumable, working.resumable, done.resumable) == (True, False, False)


def test_a_stopped_run_is_resumable() -> None:
    stopped = RunFinished(run=script.RUN, outcome="cancelled", completed=1, rounds=3, folder="", seconds=9.0)

    workspace = after_a_run(60)

    with run_asked_for(workspace):
        told(workspace, stopped)

    assert workspace.resumable


def test_an_earlier_run_stands_in_front_of_the_run_in_progress_until_it_is_left() -> None:
    workspace = after_a_run(60)
    workspace.run_job = "run-1"
    earlier = RunState(run="earlier", config=DEMO)

    workspace.show_run(earlier)
    assert workspace.run is earlier and workspace.live.run == script.RUN

    workspace.leave_run()
    assert workspace.run.run == script.RUN


def test_the_run_in_progress_is_not_opened_a_second_time_as_an_earlier_one() -> None:
    workspace = after_a_run(60)
    workspace.run_job = "run-1"

    workspace.show_run(RunState(run=script.RUN, config=DEMO))

    assert workspace.opened is None


def test_a_long_series_is_thinned_evenly_and_keeps_its_ends() -> None:
    rounds = list(range(2001))

    kept = thinned(rounds)

    assert len(kept) == MOST_POINTS
    assert (kept[0], kept[-1]) == (0, 2000)
    assert max(later - earlier for earlier, later in pairwise(kept)) <= 11


class Deaf:
    """An engine that takes every command and does nothing."""

    running = True

    def send(self, command: object) -> None:
        """Nothing."""


def test_a_run_that_did_not_begin_leaves_the_one_before_on_the_screens() -> None:
    workspace = after_a_run()
    workspace._client = Deaf()  # type: ignore[assignment]

    workspace.start_run(DEMO)
    told(workspace, JobFinished(job=workspace.run_job, outcome="failed"))

    assert workspace.run.run == script.RUN


async def test_a_run_that_the_real_engine_refuses_unread_is_over_and_its_reason_told() -> None:
    workspace, reasons, ended = Workspace(), [], asyncio.Event()
    workspace.on_failure = reasons.append
    await workspace.open_engine()
    workspace.on_change = lambda: ended.set() if reasons and not workspace.training else None
    workspace.start_run(RunConfig(lora=LoraSettings(alpha=math.inf)))

    await asyncio.wait_for(ended.wait(), 60)
    await workspace.close()

    assert workspace.activity == "ended" and "lora.alpha" in reasons[0].message


def test_a_run_whose_engine_had_to_be_ended_to_stop_it_is_not_gone_on_with() -> None:
    workspace = after_a_run(60)
    workspace.run_job, workspace.stopping = "run-1", True

    workspace._engine_ended(EngineExit(code=-15, expected=False, sentence="The engine was ended by SIGTERM."))

    assert workspace.interrupted is None
