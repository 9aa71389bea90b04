"""The engine process: commands in on standard input, events out on standard output, one loop in between.

Order matters at the top: before anything else is imported, descriptor 1 is pointed at the log and a private copy is kept for
events, so that a stray print or a library's progress bar can never corrupt the protocol.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine import locations
from engine.errors import FedMedError, ProtocolError, log_unexpected
from engine.jobs.context import Engine
from engine.jobs.dispatch import job_for, lane_of
from engine.protocol import (
    DROPPABLE,
    VERSION,
    AnyCommand,
    AnyEvent,
    Cancel,
    EngineReady,
    Failure,
    Hello,
    JobFinished,
    Resources,
    RoundFinished,
    Shutdown,
    Stamped,
    UpdateReceived,
    decode_command,
    encode_event,
    job_of,
)
from engine.resources import give_back_memory, read_resources
from engine.scheduler import Scheduler
from engine.throttle import Throttle
from engine.version import __version__

IDLE_SECONDS = 1.0
ORPHAN_SECONDS = 5.0
"""How long a job may take to notice that the screen is gone before the process ends itself."""
KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64", "LRU_CACHE_CAPACITY": "32"}
"""Compiled matrix products that oneDNN, and torch above it, keep. A new batch length needs some twenty, and lengths hardly come
again; their own 1,024 each would take hundreds of MiB."""
WORK_DONE = (UpdateReceived, RoundFinished, JobFinished)
"""After these, memory that the work needed is given back."""


@dataclass(frozen=True)
class Refused:
    """A line that is no command. Whoever sent it is told, as far as the line says who that was."""

    job: str
    """Empty when the line does not say."""
    error: Exception


class Process:
    """The loop between the two pipes."""

    def __init__(self, events: BinaryIO) -> None:
        self._events = events
        self._seq = 0
        self._throttle = Throttle()
        self._inbox: queue.SimpleQueue[AnyCommand | Refused | None] = queue.SimpleQueue()
        self._engine = Engine()
        self._scheduler = Scheduler(self.emit, self.report)
        self._ending = False
        self._resources_at = 0.0

    def run(self) -> None:
        """Until Shutdown or the end of standard input."""
        threading.Thread(target=self._read, name="commands", daemon=True).start()
        self.emit(EngineReady(protocol=VERSION, pid=os.getpid(), version=__version__, log=str(locations.log_file())))
        while not (self._ending and self._scheduler.idle):
            self._take_commands()
            if not self._scheduler.idle:
                self._scheduler.step()
            self._tell_resources()

    def emit(self, event: AnyEvent) -> None:
        """State one event; droppable ones at most 10 a second."""
        if isinstance(event, DROPPABLE) and self._throttle.drops(event):
            return
        self._seq += 1
        try:
            self._events.write(encode_event(Stamped(seq=self._seq, time=time.time(), event=event)))
        except BrokenPipeError:
            os._exit(0)  # nobody listens any more
        if isinstance(event, WORK_DONE):
            give_back_memory()

    def report(self, job: str, error: Exception) -> None:
        """State why a job ended early; the details of anything unexpected go to the log, never to the screen."""
        if isinstance(error, FedMedError):
            failure = Failure(job=job, title=error.title, message=error.message, where=error.where, hint=error.hint)
        else:
            log_unexpected(error)
            failure = describe_unexpected(job, error)
        self.emit(failure)

    def _read(self) -> None:
        """Runs in a thread: lines in, commands queued; None at the end."""
        for line in sys.stdin.buffer:
            try:
                self._inbox.put(decode_command(line))
            except Exception as error:  # not the expected kind alone: a reader that stopped would leave everybody waiting
                self._inbox.put(Refused(job_of(line), error))
        self._inbox.put(None)
        watchdog = threading.Timer(ORPHAN_SECONDS, os._exit, args=(0,))
        watchdog.daemon = True
        watchdog.start()

    def _take_commands(self) -> None:
        """Everything that has arrived; waits a little when there is nothing to do."""
        wait = self._scheduler.idle and not self._ending
        with contextlib.suppress(queue.Empty):
            while True:
                self._handle(self._inbox.get(timeout=IDLE_SECONDS) if wait else self._inbox.get_nowait())
                wait = False

    def _handle(self, command: AnyCommand | Refused | None) -> None:
        match command:
            case None | Shutdown():
                self._ending = True
                self._scheduler.cancel_all()
            case Refused(job=job, error=error):
                self.report(job, error)
                if job:
                    self.emit(JobFinished(job=job, outcome="failed"))
            case Hello():
                self._greet(command)
            case Cancel():
                self._scheduler.cancel(command.job)
            case _ if self._ending:
                self.emit(JobFinished(job=command.job, outcome="cancelled"))
            case _:
                self._scheduler.add(command.job, job_for(self._engine, command), lane_of(command))

    def _greet(self, hello: Hello) -> None:
        self._engine.attached = hello.attached
        if hello.protocol != VERSION:
            self.report("", ProtocolError(f"the screen speaks protocol {hello.protocol}, this engine {VERSION}."))
            self._ending = True

    def _tell_resources(self) -> None:
        now = time.monotonic()
        if now - self._resources_at >= IDLE_SECONDS:
            self._resources_at = now
            memory, gpu = read_resources()
            self.emit(Resources(memory_bytes=memory, gpu_bytes=gpu))


def describe_unexpected(job: str, error: Exception) -> Failure:
    """An exception nobody planned for. Its text may hold a pair's text, so only its type is told."""
    log = str(locations.log_file())
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "can't allocate memory" in str(error):
        return Failure(
            job=job,
            title="Memory",
            message="there was not enough memory for this.",
            where=type(error).__name__,
            hint="Lower training.batch_size or training.max_tokens, or free memory, then resume.",
        )
    return Failure(
        job=job,
        title="Unexpected error",
        message=f"a {type(error).__name__} ended this job.",
        where=log,
        hint="The log has the details; the engine is still up.",
    )


def main() -> None:
    """Set the process up and run it."""
    events = _private_stdout()
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group; the front end decides what it means
    for name, count in KERNELS.items():
        os.environ.setdefault(name, count)  # read when the tensor libraries are loaded
    _step_back()
    Process(events).run()
    os._exit(0)  # without waiting for library threads and their clean-up


def _private_stdout() -> BinaryIO:
    """A copy of descriptor 1 for events; descriptor 1 itself goes where errors go (the log)."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "wb", buffering=0)


def _step_back() -> None:
    """Let the screen have the processor first, and let the kernel take this process first when memory runs out."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(10)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


if __name__ == "__main__":
    main()
