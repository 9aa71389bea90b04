"""One question to an engine that does not run yet: a new process, spoken to like any other, timed from its start."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from queue import Empty, Queue
from subprocess import PIPE, Popen
from threading import Thread
from typing import IO

from engine.benchmark.suite import NotMeasured
from engine.interpreter import module_argv
from engine.protocol import Chat, ChatFinished, ChatText, Failure, Hello, JobFinished, decode_event, encode_command

PAUSE = 0.02


def ask_cold(question: Chat, *, attached: bool) -> Generator[None, None, tuple[float, float]]:
    """(seconds to the first text, seconds to the end of the answer) since the process was started.

    Raises:
        NotMeasured: the process failed, for example because two models do not fit into memory.
    """
    started, first = time.monotonic(), 0.0
    with _engine([Hello(attached=attached), question]) as lines:
        for line in lines:
            if line is None:
                yield None
                continue
            event = decode_event(line).event
            if isinstance(event, ChatText):
                first = first or time.monotonic() - started
            elif isinstance(event, ChatFinished):
                return first, time.monotonic() - started
            elif isinstance(event, Failure):
                raise NotMeasured(f"a second engine did not answer: {event.message}", where="inference")
            elif isinstance(event, JobFinished):
                break
    raise NotMeasured("a second engine ended without an answer.", where="inference", hint="Its log may tell.")


@contextmanager
def _engine(commands: list[Hello | Chat]) -> Iterator[Iterator[bytes | None]]:
    """Lines of a new engine's standard output as they come, and None while there is none. The process ends with the block."""
    process = Popen(module_argv("engine"), stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None and process.stdout is not None
    inbox: Queue[bytes] = Queue()
    Thread(target=_read, args=(process.stdout, inbox), daemon=True).start()
    try:
        process.stdin.write(b"".join(encode_command(command) for command in commands))
        process.stdin.flush()
        yield _lines(inbox)
    finally:
        process.kill()
        process.wait()


def _read(stream: IO[bytes], inbox: Queue[bytes]) -> None:
    """Runs in a thread: every line, and an empty one at the end."""
    for line in stream:
        inbox.put(line)
    inbox.put(b"")


def _lines(inbox: Queue[bytes]) -> Iterator[bytes | None]:
    while True:
        try:
            line = inbox.get(timeout=PAUSE)
        except Empty:
            yield None
            continue
        if not line:
            return
        yield line
