"""Messages between coordinator and hospital: what goes in comes out, and what is no message is turned away."""

from __future__ import annotations

import json
import math
import pickle

import pytest
import torch
from safetensors.torch import save

from engine.errors import ProtocolError
from engine.federated.flare import wire
from engine.federated.flare.answers import lost, update
from engine.federated.flare.channel import Answer
from engine.federated.flare.worker import differences
from engine.federated.update import Lost
from engine.settings import load_config

NAME = "model.layers.0.q_proj.lora_A.weight"


def test_a_message_comes_out_as_it_went_in() -> None:
    tensor = torch.randn(4, 3)
    asked = wire.Train(start="0" * 64, round=2, trains=("A",), held=0)

    header, groups = wire.unpack(wire.pack(asked, {"start": {NAME: tensor}}), where="A")

    assert header == asked
    assert torch.equal(groups["start"][NAME], tensor)


def test_scalars_come_out_to_the_last_bit_and_infinite_errors_stay_so() -> None:
    judged = wire.Judged(losses=(0.1 + 0.2,), gains=(1e-17,), errors=(math.inf,), slopes=(), pairs=1, tokens=2, seconds=0.1)

    assert wire.unpack(wire.pack(judged), where="A")[0] == judged


def message(header: object, tensors: dict[str, torch.Tensor]) -> bytes:
    return bytes(save(tensors, metadata={"message": json.dumps(header)}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 64,
        pickle.dumps({"start": 1}),
        message({"type": "Run", "code": "import os"}, {}),
        message({"type": "Train", "round": "one"}, {}),
        message({"type": "Evaluate"}, {"adapter|model.embed_tokens.weight": torch.zeros(1)}),
        message({"type": "Evaluate"}, {f"adapter|{NAME}": torch.zeros(1, dtype=torch.int64)}),
        message({"type": "Evaluate"}, {NAME: torch.zeros(1)}),
    ],
    ids=["empty", "noise", "pickle", "unknown type", "wrong field", "other tensor", "token ids", "no group"],
)
def test_what_is_no_message_is_turned_away(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        wire.unpack(data, where="A")


def test_an_answer_that_cannot_be_read_loses_the_hospital_and_not_the_run() -> None:
    assert update(Answer(number=1, site="A", payload=b"nonsense")) == Lost("A", "damaged", "its answer is none of this protocol")


def test_only_the_type_of_what_broke_leaves_a_hospital() -> None:
    told = lost(Answer(number=1, site="A"), wire.Broken(name="Patient 123 has asthma", cause="unexpected"))

    assert "asthma" not in told.reason


def test_differences_name_what_is_different() -> None:
    own = wire.Join(run="r", config=load_config(), digest="d" * 64, quantization="NF4", tokenizer="t")
    joined = wire.Joined(
        info=None,  # type: ignore[arg-type]
        digest="e" * 64,
        quantization="NF4",
        tokenizer="t",
        wire=wire.WIRE_VERSION,
    )

    assert differences(joined, own) == ["another base model than dddddddddddd"]


def test_differences_hold_no_text_that_a_hospital_wrote() -> None:
    own = wire.Join(run="r", config=load_config(), digest="d", quantization="NF4", tokenizer="t")
    theirs = wire.Joined(
        info=None,  # type: ignore[arg-type]
        digest="Mrs Smith",
        quantization="Mrs Smith, born 1961\x1b[2J" * 1000,
        tokenizer="Mrs Smith",
        wire=wire.WIRE_VERSION,
    )

    assert differences(theirs, own) == ["another base model than d", "another quantization than NF4", "another tokenizer than t"]
