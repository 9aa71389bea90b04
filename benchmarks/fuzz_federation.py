"""Readers of what comes over the network, or with a kit: messages of both sides, policies, kits, federations."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import msgspec
import torch

from benchmarks.fuzz_bytes import Reader, framed, in_file, joined, parted, unframed
from engine.federated.checks import out_of_line, unfit, unfit_evaluation, unfit_verdict
from engine.federated.flare import answers, wire
from engine.federated.flare.channel import Answer, News
from engine.federated.flare.kits import hospital_of, read_federation
from engine.federated.flare.policy import Policy, read_policy
from engine.federated.flare.worker import differences
from engine.federated.update import Assessment, Assignment, Lost, Update
from engine.model.adapters import digest_of
from engine.model.base import hub_model
from engine.protocol import HospitalInfo, HospitalLost, RunStarted, Stamped, StepDone, encode_event
from engine.settings import DEMO

ADAPTER = {
    f"base_model.model.model.layers.0.self_attn.{module}.lora_{factor}.weight": torch.ones((2, 3) if factor == "A" else (3, 2))
    for module in ("q_proj", "v_proj")
    for factor in "AB"
}
MOVED = {name: tensor * 1.5 for name, tensor in ADAPTER.items()}
TASK = Assignment(round=1, start=ADAPTER)
ASKED = Assessment(round=1, adapters=(ADAPTER, MOVED), vectors=((1.0,), (0.5,)), part="all", pairs=9, tokens={"A": 99})
INVITATION = wire.Join(run="r", config=DEMO, digest="d", quantization="q", tokenizer="t")
POLICY = b'runs = ["r*"]\nweightings = ["agent"]\nmin_pairs = 5\nreports = ["progress"]\ndecimals = 3\nclip_norm = 1.5\n'
FEDERATION = {"name": "f", "server": "here", "port": 8002, "hospitals": ["A", "B"]}


def federation_readers() -> list[Reader]:
    """Every one."""
    return [
        Reader("hospital's message", _messages(_from_hospital()), _hear_hospital, 2),
        Reader("hospital's header", _headers(_from_hospital()), _reframed(_hear_hospital), 3),
        Reader("hospital's news", (_news(),), _hear_news),
        Reader("coordinator's message", _messages(_from_coordinator()), _hear_coordinator),
        Reader("coordinator's header", _headers(_from_coordinator()), _reframed(_hear_coordinator), 2),
        Reader("policy TOML", (POLICY,), _policy),
        Reader("kit", (b'{"hospital": "A"}',), in_file("hospital.json", lambda path: hospital_of(path.parent))),
        Reader("federation.json", (json.dumps(FEDERATION).encode(),), _federation),
    ]


# --- how they are read ---------------------------------------------------------------------------------------------------------


def _hear_hospital(data: bytes, folder: Path) -> None:
    """As the transport and the round loop take an answer, whatever was asked."""
    answer = Answer(number=1, site="A", payload=data)
    _joined(answers.header(answer))
    update = answers.update(answer)
    if isinstance(update, Update):
        rival = wire.Trained(pairs=9, steps=1, loss=1.0, variance=0.0, tokens=9, seconds=1.0, round=1)
        others = answers.update(Answer(number=1, site="B", payload=wire.pack(rival, {"adapter": MOVED})))
        assert isinstance(others, Update)
        lost = unfit(update, TASK)
        _told([lost] if lost else out_of_line([update, others], TASK, {}))
        digest_of(update.adapter)
    for found, judge in ((answers.evaluation(answer), unfit_evaluation), (answers.verdict(answer), _unfit_verdict)):
        _told([found if isinstance(found, Lost) else judge(found)])  # type: ignore[operator]


def _unfit_verdict(verdict: object) -> Lost | None:
    return unfit_verdict(verdict, ASKED)  # type: ignore[arg-type]


def _joined(header: wire.Header | None) -> None:
    if isinstance(header, wire.Joined):
        differences(header, INVITATION)
        started = RunStarted(run="r", config=DEMO, hospitals=(msgspec.structs.replace(header.info, name="A"),))
        encode_event(Stamped(seq=1, time=0.0, event=started))


def _told(losses: Sequence[Lost | None]) -> None:
    for lost in filter(None, losses):
        event = HospitalLost(round=1, hospital=lost.hospital, during="training", kind=lost.kind, reason=lost.reason)
        encode_event(Stamped(seq=1, time=0.0, event=event))


def _hear_news(data: bytes, folder: Path) -> None:
    event = answers.progress(News(site="A", payload=data), 1)
    if event is not None:
        encode_event(Stamped(seq=1, time=0.0, event=event))


def _hear_coordinator(data: bytes, folder: Path) -> None:
    """As a hospital takes it, up to where its data and model come in."""
    header, _ = wire.unpack(data, where="A")
    if isinstance(header, wire.Join):
        Policy().check_run(header.run, header.config)
        if named := hub_model(header.config.model):
            Policy().check_fetch(named)


def _policy(data: bytes, folder: Path) -> None:
    (folder / "local").mkdir(exist_ok=True)
    (folder / "local" / "policy.toml").write_bytes(data)
    read_policy(folder).check_run("r", DEMO)


def _federation(data: bytes, folder: Path) -> None:
    with patch.dict(os.environ, FEDMED_HOME=str(folder)):
        path = folder / "federations" / "f" / "federation.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        found = read_federation("f")
        assert all(found.kit(hospital).parent == path.parent for hospital in found.hospitals)


def _reframed(read: Callable[[bytes, Path], object]) -> Callable[[bytes, Path], object]:
    """The header's own JSON is spoilt, and what is around it is sound."""

    def pack_and_read(data: bytes, folder: Path) -> object:
        message, header, body = parted(data, 3)
        text = json.dumps(message.decode("utf-8", "surrogateescape")).encode()
        return read(framed(header.replace(b'"MESSAGE"', text), body), folder)

    return pack_and_read


# --- good ones -----------------------------------------------------------------------------------------------------------------


def _from_hospital() -> list[tuple[wire.Header, wire.Groups]]:
    info = HospitalInfo(name="A", train=9, validation=3, test=3)
    trained = wire.Trained(pairs=9, steps=1, loss=1.0, variance=0.1, tokens=9, seconds=1.0, round=1)
    judged = wire.Judged(losses=(1.0, 1.1), gains=(0.0, -0.1), errors=(0.0, 0.1), slopes=(), pairs=3, tokens=9, seconds=1.0)
    return [
        (wire.Joined(info=info, digest="d", quantization="q", tokenizer="t", wire=wire.WIRE_VERSION, start="s"), {}),
        (trained, {"adapter": MOVED}),
        (wire.Measured(loss=1.0, pairs=3, tokens=9), {}),
        (judged, {}),
        (wire.Refused(rule="run"), {}),
        (wire.Broken(name="ValueError", cause="data"), {}),
    ]


def _from_coordinator() -> list[tuple[wire.Header, wire.Groups]]:
    assess = wire.Assess(round=1, vectors=ASKED.vectors, part="all", pairs=9, tokens={"A": 99}, slopes=False)
    return [
        (INVITATION, {}),
        (wire.Train(start="s", round=1, trains=("A", "B"), held=0), {"start": ADAPTER}),
        (wire.Evaluate(adapter="s"), {"adapter": ADAPTER}),
        (assess, {"0000": ADAPTER, "0001": MOVED}),
    ]


def _messages(said: list[tuple[wire.Header, wire.Groups]]) -> tuple[bytes, ...]:
    return tuple(wire.pack(header, groups) for header, groups in said)


def _headers(said: list[tuple[wire.Header, wire.Groups]]) -> tuple[bytes, ...]:
    """Message, safetensors header around it, tensors."""
    parts = []
    for header, groups in said:
        whole, body = unframed(wire.pack(header, groups))
        listed = json.loads(whole)
        message = listed["__metadata__"][wire.HEADER]
        listed["__metadata__"][wire.HEADER] = "MESSAGE"
        parts.append(joined(message.encode(), json.dumps(listed).encode(), body))
    return tuple(parts)


def _news() -> bytes:
    step = StepDone(round=1, hospital="A", step=1, steps=2, loss=2.0, tokens=9, seconds=1.0)
    return encode_event(Stamped(seq=0, time=0.0, event=step))
