"""What leaves a hospital's engine as answers, without a network: a real hospital with a tiny model, asked by messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Generator, Iterator
from multiprocessing.connection import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import save

from engine import locations
from engine.federated.flare import wire
from engine.federated.flare.answers import REFUSALS, lost
from engine.federated.flare.channel import Answer, Line
from engine.federated.flare.kits import Federation
from engine.federated.flare.policy import Policy
from engine.federated.flare.transport import FlareTransport
from engine.federated.flare.worker import Attending
from engine.federated.hospital import Hospital
from engine.federated.update import Assessment, Diverged, Lost, cause_of, lost_by
from engine.jobs.attend import attend
from engine.jobs.context import Engine
from engine.model.adapters import AdapterBank, digest_of
from engine.protocol import Attend, FederationBroke, StepDone
from engine.settings import load_config
from tests.engine.conftest import load_tiny
from tests.process.conftest import tiny_config


@pytest.fixture(scope="module")
def bank(tiny_model: Path) -> AdapterBank:
    return load_tiny(tiny_model, quantization="none")


def attending(bank: AdapterBank, policy: Policy) -> Attending:
    hospital = Hospital("A", locations.sample_folder(), load_config(overrides={"lora.rank": 4, "training.local_steps": 1}))
    hospital.attach(bank)
    start = bank.initial(7)
    joined: Any = None  # only the coordinator reads it
    return Attending(hospital, bank, policy, joined, {"given": (digest_of(start), start)})


def asked(work: Generator[Any, None, bytes]) -> tuple[list[Any], wire.Header]:
    """The events on the way, and the answer's header."""
    events = []
    while True:
        try:
            events.append(next(work))
        except StopIteration as end:
            return [event for event in events if event is not None], wire.unpack(end.value, where="A")[0]


def judging(bank: AdapterBank, pairs: int) -> bytes:
    message = wire.Assess(
        round=1, vectors=((0.0,), (1.0,)), part="screen", pairs=pairs, tokens={"A": 10**6, "B": 1}, slopes=False
    )
    return wire.pack(message, {"0000": bank.initial(7), "0001": bank.initial(8)})


def test_nothing_is_said_about_fewer_pairs_than_three(bank: AdapterBank) -> None:
    hospital = attending(bank, Policy())

    told = [asked(hospital.answer(judging(bank, pairs)))[1] for pairs in (1, 2, 3)]

    assert [(one.pairs, len(one.losses)) for one in told if isinstance(one, wire.Judged)] == [(0, 0), (0, 0), (3, 2)]


def test_a_policy_that_keeps_seconds_back_keeps_all_of_them_back(bank: AdapterBank) -> None:
    hospital = attending(bank, Policy(reports=("progress", "validation", "judging")))

    events, trained = asked(hospital.answer(wire.pack(wire.Train(digest_of(bank.initial(7)), 1, ("A", "B"), 0))))
    _, judged = asked(hospital.answer(judging(bank, 3)))

    assert [event.seconds for event in events if isinstance(event, StepDone)] == [0.0]
    assert isinstance(trained, wire.Trained) and isinstance(judged, wire.Judged)
    assert trained.seconds == judged.seconds == 0.0


def test_all_voters_get_one_message(bank: AdapterBank, monkeypatch: pytest.MonkeyPatch) -> None:
    federation = Federation(name="city", server="localhost", port=1, hospitals=("A", "B"))
    transport = FlareTransport(federation, wire.Join("r", load_config(), "", "", ""), {})
    sent: list[bytes] = []

    def ask(method: str, message: Callable[[str], bytes], names: Collection[str]) -> Iterator[None]:
        sent.extend(map(message, names))
        yield None

    monkeypatch.setattr(transport, "_ask", ask)

    list(transport.assess(Assessment(1, (bank.initial(7),), ((),), "screen", 16, {"A": 1000, "B": 1001})))

    assert len(sent) == 2 and sent[0] is sent[1]


def test_a_job_that_breaks_is_told_at_once(bank: AdapterBank, monkeypatch: pytest.MonkeyPatch) -> None:
    federation = Federation(name="city", server="localhost", port=1, hospitals=("A", "B"))
    transport = FlareTransport(federation, wire.Join("r", load_config(), "", "", ""), {})
    ours, theirs = Pipe()
    theirs.close()  # as when NVFlare's job process dies
    monkeypatch.setattr(transport, "_line", Line(ours))
    monkeypatch.setattr(transport, "_sites", ("A", "B"))
    asked = transport.assess(Assessment(1, (bank.initial(7),), ((),), "screen", 16, {"A": 1000, "B": 1000}))

    answers = [answer for answer in asked if answer is not None]

    assert [answer.kind for answer in answers if isinstance(answer, Lost)] == ["gone", "gone"]
    assert [type(event) for event in transport.news()] == [FederationBroke]
    assert transport.news() == []


def test_who_is_connected_is_asked_again_when_an_answer_comes_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    federation = Federation(name="city", server="localhost", port=1, hospitals=("A", "B"))
    transport = FlareTransport(federation, wire.Join("r", load_config(), "", "", ""), {})
    asked = iter((False, True))

    def look(kit: Path, name: str) -> tuple[list[str], list[str]]:
        if not next(asked):
            raise TimeoutError
        return ["A", "B"], []

    monkeypatch.setattr("engine.federated.flare.transport.nvflare", lambda: SimpleNamespace(look=look))

    assert transport._connected() == ["A", "B"]


@pytest.mark.parametrize("error", [Diverged(), FileNotFoundError("Mrs Smith.jsonl"), KeyError("Mrs Smith")])
def test_what_an_error_stands_for_is_told_as_in_one_process(error: Exception) -> None:
    sent = wire.Broken(name=type(error).__name__, cause=cause_of(error))

    assert lost(Answer(number=1, site="A"), sent) == lost_by("A", error)


def answered(tmp_path: Path, source: str, policy: str) -> wire.Header:
    """A hospital's answer to an invitation to a run with this base model."""
    invitation = wire.Join(run="r", config=tiny_config(Path(source)), digest="", quantization="", tokenizer="")
    return answer_to(tmp_path, wire.pack(invitation), policy)


def answer_to(tmp_path: Path, invitation: bytes, policy: str = "") -> wire.Header:
    """A hospital's answer to an invitation."""
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "policy.toml").write_text(policy)
    (tmp_path / "request").write_bytes(invitation)
    data, paths = str(locations.sample_folder()), {"request": str(tmp_path / "request"), "answer": str(tmp_path / "answer")}
    list(attend(Engine(attached=False), Attend(job="1", hospital="A", method="join", kit=str(tmp_path), data=data, **paths)))
    return wire.unpack((tmp_path / "answer").read_bytes(), where="A")[0]


@pytest.mark.parametrize(("policy", "fetched"), [("", []), ('hub_models = ["somebody/*"]', ["somebody/a-model"])])
def test_a_run_has_no_model_fetched_that_the_policy_does_not_name(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, policy: str, fetched: list[str]
) -> None:
    asked_for: list[str] = []

    def download(name: str) -> Path:
        asked_for.append(name)
        return tiny_model

    monkeypatch.setattr("engine.model.sources._download", download)

    answer = answered(tmp_path, "somebody/a-model", policy)

    assert asked_for == fetched
    assert isinstance(answer, wire.Joined) if fetched else answer == wire.Refused(rule="hub model")


def test_a_much_newer_coordinator_is_told_that_it_speaks_another_version(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    newer = {"type": "Join", "run": {"renamed": "r"}, "wire": 99, "of a later version": True}
    invitation = save({}, metadata={wire.HEADER: json.dumps(newer)})

    header = answer_to(tmp_path, invitation)

    assert lost(Answer(number=1, site="A"), header) == Lost("A", "refused", REFUSALS["protocol"])
    assert "speaks version 99 of the protocol, this hospital 2" in capfd.readouterr().err


def test_a_folder_of_the_hospitals_own_needs_no_permission(tmp_path: Path, tiny_model: Path) -> None:
    assert isinstance(answered(tmp_path, str(tiny_model), ""), wire.Joined)
