"""What the transport waits for: answers to a question, and work that would block the engine's loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import TypeVar

from engine.errors import FederationError
from engine.federated.flare.channel import SILENCE_SECONDS, Answer, Message, News

PATIENCE_SECONDS = 120.0
"""For the server to answer, and for a submitted job to come up at every site."""
BEAT = 0.02
"""Longest pause before the engine's loop may do something else."""

T = TypeVar("T")


@dataclass
class Question:
    """One question to several hospitals, until each has answered or fallen silent."""

    number: int
    waiting: set[str]
    started: float = field(default_factory=time.monotonic)
    longest: float = 0.0
    """Seconds that the slowest hospital worked."""
    carrying: float = 0.0
    """Seconds beside that, until the last answer."""

    def __post_init__(self) -> None:
        self._heard = dict.fromkeys(self.waiting, self.started)

    def heard(self, message: Message | None) -> Answer | News | None:
        """The message where it belongs to this question."""
        if isinstance(message, Answer | News):
            self._heard[message.site] = time.monotonic()
        if isinstance(message, News):
            return message
        if not isinstance(message, Answer) or message.number != self.number or message.site not in self.waiting:
            return None
        self.waiting.discard(message.site)
        self.longest = max(self.longest, message.seconds)
        self.carrying = max(0.0, time.monotonic() - self.started - self.longest)
        return message

    def silent(self) -> list[str]:
        """Hospitals that are given up from now on."""
        now = time.monotonic()
        gone = sorted(name for name in self.waiting if now - self._heard[name] > SILENCE_SECONDS)
        self.waiting.difference_update(gone)
        return gone


def in_thread(
    work: Callable[[], T], seconds: float = PATIENCE_SECONDS, give_up: Callable[[], None] = lambda: None
) -> Generator[None, None, T]:
    """The result of something that blocks, with pauses in between. Raises FederationError when it takes too long.

    Given up, or closed because its job is stopped, it waits for nothing: the thread ends when the work does, or with the process.
    """
    future: Future[T] = Future()

    def do() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=do, name="federation", daemon=True).start()
    until = time.monotonic() + seconds
    try:
        while not future.done():
            if time.monotonic() > until:
                raise FederationError(
                    f"no answer in {seconds:g} s.", where="federation", hint="See `fedmed-tui federation status`."
                )
            wait([future], BEAT)
            yield None
    finally:
        if not future.done():
            give_up()
    return future.result()


def same(payloads: Mapping[str, bytes]) -> list[tuple[bytes, tuple[str, ...]]]:
    """Payloads with the hospitals that get the same one."""
    groups: dict[int, list[str]] = {}
    for name in sorted(payloads):
        groups.setdefault(id(payloads[name]), []).append(name)
    return [(payloads[same[0]], tuple(same)) for same in groups.values()]
