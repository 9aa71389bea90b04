"""Lines between the processes: what is written is read back, anything else is refused in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ProtocolError
from engine.protocol import (
    Cancel,
    Chat,
    ChatTurn,
    Failure,
    Stamped,
    StartRun,
    StepDone,
    decode_command,
    decode_event,
    encode_command,
    encode_event,
)
from engine.settings import REFERENCE

COMMANDS = [
    StartRun(job="run", run="demo", config=REFERENCE),
    Chat(job="c", adapter="B", turns=(ChatTurn(role="user", text="[/] \x1b[2J \n <|im_end|>"),)),
    Cancel(job="c"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_a_command_is_one_line_and_comes_back_the_same(command: StartRun | Chat | Cancel) -> None:
    line = encode_command(command)

    assert line.count(b"\n") == 1
    assert decode_command(line) == command


@given(st.text())
def test_any_text_travels_in_an_event(text: str) -> None:
    stamped = Stamped(seq=1, time=2.0, event=Failure(job="j", title="t", message=text, where="", hint=""))

    assert decode_event(encode_event(stamped)) == stamped


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello\n",
        b"[]\n",
        b'{"v":1,"command":{"type":"Unknown"}}\n',
        b'{"v":1,"command":{"type":"Cancel"}}\n',
        b'{"v":1,"command":{"type":"Cancel","job":7}}\n',
        b'{"command":{"type":"Cancel","job":"\xff"}}\n',
        b"[" * 100_000,
    ],
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="not a line of this protocol"):
        decode_command(line)


@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_but_a_protocol_error(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_event(line)


def test_another_version_is_refused_with_both_numbers() -> None:
    event = StepDone(round=1, hospital="A", step=1, steps=2, loss=1.0, tokens=3, seconds=0.1)
    line = encode_event(Stamped(seq=1, time=0.0, event=event, v=2))

    with pytest.raises(ProtocolError, match="version 2, this program speaks 1"):
        decode_event(line)
