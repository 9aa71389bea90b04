"""The private line between the coordinator's engine and its relay in NVFlare's server job, both on the coordinator's machine.

A socket in a folder that only this user can enter, and a random key in a file of mode 0600 that both sides prove to hold: the key
never travels. Messages are msgpack with a closed list of types; tensors inside are safetensors bytes (see `wire`).
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Literal, Self

import msgspec
from msgspec import Struct

from engine.protocol import Fault

KEY = "key"
SOCKET = "relay"
KEY_BYTES = 32
BEAT_SECONDS = 2.0
"""How often a site that works is heard of."""
SILENCE_SECONDS = 15.0
"""Without a word from it, a site that should be working is gone."""


class Call(Struct, frozen=True, tag=True):
    """Coordinator → relay: let each of these sites do `method` with this payload; each answers by an `Answer`."""

    number: int
    method: str
    sites: tuple[str, ...]
    payload: bytes
    seconds: float
    """After which a site that has not answered is late."""


class Halt(Struct, frozen=True, tag=True):
    """Coordinator → relay: every site stops what it is doing for this run."""


class Answer(Struct, frozen=True, tag=True):
    """Relay → coordinator: what a site answered, or why it did not."""

    number: int
    site: str
    payload: bytes = b""
    seconds: float = 0.0
    """That the site worked for it; the rest of the time went into carrying."""
    fault: Fault | Literal[""] = ""
    """Empty when there is a payload."""
    reason: str = ""


class News(Struct, frozen=True, tag=True):
    """Relay → coordinator: an event of a site while it works; empty: it is still there."""

    site: str
    payload: bytes


class Sites(Struct, frozen=True, tag=True):
    """Relay → coordinator: the job is up with these sites."""

    names: tuple[str, ...]


Message = Call | Halt | Answer | News | Sites

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


class Line:
    """One end of the line; sending is safe from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Raises OSError when the other end is gone."""
        with self._sending:
            self._connection.send_bytes(_encoder.encode(message))

    def receive(self, seconds: float) -> Message | None:
        """The next message, or None after so many seconds. Raises EOFError or OSError when the other end is gone."""
        if not self._connection.poll(seconds):
            return None
        try:
            message: Message = _decoder.decode(self._connection.recv_bytes())
        except ValueError:
            raise EOFError("the other end does not speak this language") from None
        return message

    def close(self) -> None:
        """The other end sees the end of the line."""
        self._connection.close()


class Door:
    """Where the coordinator's engine waits for the relay of its job."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fedmed-"))  # mode 0700
        key = secrets.token_bytes(KEY_BYTES)
        descriptor = os.open(self.folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
        self._listener = Listener(str(self.folder / SOCKET), family="AF_UNIX", authkey=key)

    def wait(self) -> Line:
        """Block until the relay has come and proved itself. Raises OSError once the door is closed."""
        return Line(self._listener.accept())

    def close(self) -> None:
        """Let nobody in any more."""
        with suppress(OSError):
            self._listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def knock(folder: Path) -> Line:
    """The relay's end. Raises OSError or AuthenticationError when nobody waits there or the key is not theirs."""
    return Line(Client(str(folder / SOCKET), family="AF_UNIX", authkey=(folder / KEY).read_bytes()))
