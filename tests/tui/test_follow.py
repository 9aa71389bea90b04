"""A second window follows a run that another engine works on, from its record alone."""

from __future__ import annotations

from pathlib import Path

from engine.federated.event_log import EventLog
from engine.protocol import HospitalInfo, RoundFinished, RoundStarted, RunStarted
from engine.settings import DEMO
from fedmed_tui import runs
from fedmed_tui.workspace import Workspace


async def test_what_the_other_engine_records_appears_here(home: Path) -> None:
    folder = home / "output-models" / "elsewhere"
    folder.mkdir(parents=True)
    log = EventLog(folder / "events.jsonl")
    log.append(RunStarted(run="elsewhere", config=DEMO, hospitals=(HospitalInfo(name="A", train=9, validation=3, test=3),)))
    workspace = Workspace()
    workspace.show_run(runs.load_state("elsewhere"))

    log.append(RoundStarted(round=1, rounds=3))
    log.append(RoundFinished(round=1, rounds=3, before=2.5, after=2.25, seconds=4.0))
    await workspace.follow()

    assert workspace.run.completed == 1
    assert workspace.followed == "elsewhere"
