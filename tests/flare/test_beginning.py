"""A run that cannot begin leaves a record that says why, without a network: hospitals that are away, or refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine import locations
from engine.errors import FederationError
from engine.federated.flare.kits import FILE, Federation
from engine.federated.flare.transport import FlareTransport
from engine.federated.update import Lost
from engine.jobs.context import Engine
from engine.jobs.run import resume_run, start_run
from engine.protocol import HospitalInfo, HospitalLost, ResumeRun, RunFinished, StartRun
from fedmed_tui.runs import load_events, load_manifest, load_state
from tests.process.conftest import tiny_config


@pytest.fixture
def command(home: Path, tiny_model: Path) -> StartRun:
    """A run in a federation whose server is not there."""
    federation = Federation(name="city", server="localhost", port=1, hospitals=("A", "B"))
    folder = locations.federations_folder() / "city"
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(msgspec.json.encode(federation))
    return StartRun(job="1", run="r", config=tiny_config(tiny_model, federation__name="city"))


def recorded(run: str) -> tuple[list[tuple[str, str, str]], list[RunFinished]]:
    """Who could not begin, and how the run ended."""
    events = [stamped.event for stamped in load_events(run)]
    lost = [(one.hospital, one.kind, one.reason) for one in events if isinstance(one, HospitalLost) and one.round == 0]
    return lost, [one for one in events if isinstance(one, RunFinished)]


def test_hospitals_that_are_away_are_recorded_and_the_run_begins_anew(command: StartRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FlareTransport, "_connected", lambda self: [])
    engine = Engine(attached=False)
    with pytest.raises(FederationError):
        list(start_run(engine, command))
    with pytest.raises(FederationError):
        list(resume_run(engine, ResumeRun(job="2", run="r")))

    lost, ends = recorded("r")

    assert lost == 2 * [("A", "gone", "it is not connected"), ("B", "gone", "it is not connected")]
    assert [(end.outcome, end.completed) for end in ends] == 2 * [("failed", 0)]
    assert load_manifest("r").status == "failed"


def test_a_refusal_before_round_1_is_recorded_with_its_reason(command: StartRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def submit(transport: FlareTransport, job: str) -> Iterator[None]:
        transport._infos["A"] = HospitalInfo(name="A", train=1, validation=1, test=1)
        transport._out["B"] = Lost("B", "refused", "its policy allows fewer local steps")
        yield None

    monkeypatch.setattr(FlareTransport, "_submit", submit)
    with pytest.raises(FederationError):
        list(start_run(Engine(attached=False), command))

    state = load_state("r")

    assert recorded("r")[0] == [("B", "refused", "its policy allows fewer local steps")]
    assert [line.text for line in state.feed[-2:]] == [
        "B cannot begin: its policy allows fewer local steps.",
        "Run r failed after 0 of 3 rounds; it can be resumed.",
    ]
