"""The engine process, seen from the screen: spawn it, send commands, read events, cancel, and say why it died.

One `EngineClient` is one engine process. Callbacks run on the event loop that started it. Used by the app and by every
headless command, so both treat the engine alike.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from engine import locations
from engine.errors import EngineError, ProtocolError
from engine.interpreter import module_argv
from engine.protocol import (
    MAX_LINE_BYTES,
    AnyCommand,
    Cancel,
    Failure,
    Hello,
    JobFinished,
    Shutdown,
    Stamped,
    decode_event,
    encode_command,
)

CANCEL_SECONDS = 10.0
"""How long a cancelled job may take before the engine is asked to end."""
UNHEEDED = f"The engine did not stop its work within {CANCEL_SECONDS:.0f} s of being asked to, and was ended."
TERMINATE_SECONDS = 3.0
QUIT_SECONDS = 3.0
ENGINE_ARGV = tuple(module_argv("engine"))
"""The engine process."""
KILLED = -9
"""Exit code after SIGKILL, which has no name on Windows."""


@dataclass(frozen=True)
class EngineExit:
    """How an engine process ended."""

    code: int
    expected: bool
    """We asked for it."""
    sentence: str


class EngineClient:
    """Owns one engine process.

    Args:
        on_event: called for each event, in order.
        on_exit: called once, after the last event.
        attached: a screen is attached, so the engine leaves one core free.
        argv: the process to run; the real engine unless a test says otherwise.
    """

    def __init__(
        self,
        on_event: Callable[[Stamped], None],
        on_exit: Callable[[EngineExit], None],
        *,
        attached: bool,
        argv: tuple[str, ...] = ENGINE_ARGV,
    ) -> None:
        self._on_event = on_event
        self._on_exit = on_exit
        self._attached = attached
        self._argv = argv
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._stopping = self._unheeded = False
        self._open_jobs: dict[str, asyncio.Event] = {}

    @property
    def running(self) -> bool:
        """The process is up."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The process id, or None before the start."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Spawn the process and greet it. Raises EngineError when it cannot be spawned."""
        log = locations.log_file()
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as stderr:
                self._process = await asyncio.create_subprocess_exec(
                    *self._argv, stdin=PIPE, stdout=PIPE, stderr=stderr, limit=MAX_LINE_BYTES, env=_engine_environment()
                )
        except OSError as error:
            raise EngineError(
                f"the engine could not be started: {error.strerror}.",
                where=error.filename or self._argv[0],
                hint="Run `fedmed-tui doctor`.",
            ) from None
        self._reader = asyncio.create_task(self._read(self._process))
        self.send(Hello(attached=self._attached))

    def send(self, command: AnyCommand) -> None:
        """Queue one command. Raises EngineError when the engine is not running."""
        if not self.running or self._process is None or self._process.stdin is None:
            raise EngineError("the engine is not running.", hint="Restart it first.")
        job = getattr(command, "job", None)
        if job is not None and not isinstance(command, Cancel):
            self._open_jobs[job] = asyncio.Event()
        with suppress(ConnectionError):  # it died a moment ago: the reader reports it
            self._process.stdin.write(encode_command(command))

    async def cancel(self, job: str, *, at_any_price: bool = False) -> None:
        """Stop a job: politely, after 10 s with SIGTERM, after 3 s more with SIGKILL.

        Force ends the engine, and with it every other job: while there are others, they are not given up for this one unless
        `at_any_price`. A long training step is no reason to lose a run for an answer that is not wanted any more.
        """
        finished = self._open_jobs.get(job)
        if finished is None or not self.running:
            return
        self.send(Cancel(job=job))
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(finished.wait(), CANCEL_SECONDS)
                return
            if at_any_price or self._open_jobs.keys() <= {job}:
                break
        self._unheeded = True
        await self._end_process()

    async def stop(self) -> None:
        """End the engine: politely, then with SIGTERM, then with SIGKILL. Returns when it is gone."""
        self._stopping = True
        if self.running:
            self.send(Shutdown())
            if not await self._wait(QUIT_SECONDS):
                await self._end_process()
        if self._reader is not None:
            await self._reader

    async def wait(self) -> None:
        """Wait until the process has ended and its last event was handled."""
        if self._reader is not None:
            await asyncio.shield(self._reader)

    async def _end_process(self) -> None:
        if self._process is None:
            return
        for send_signal in (self._process.terminate, self._process.kill):
            with suppress(ProcessLookupError):
                send_signal()
            if await self._wait(TERMINATE_SECONDS):
                return

    async def _wait(self, seconds: float) -> bool:
        """Whether the process ended within `seconds`."""
        assert self._process is not None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), seconds)
        return self._process.returncode is not None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        complaint = ""
        try:
            while line := await _read_line(process.stdout):
                stamped = decode_event(line)
                if isinstance(stamped.event, JobFinished):
                    self._close_job(stamped.event.job)
                self._on_event(stamped)
                if isinstance(stamped.event, Failure) and not stamped.event.job:
                    raise ProtocolError(stamped.event.message)  # it could not read a command: whose, nobody can tell
        except ProtocolError as error:
            complaint = str(error)
            with suppress(ProcessLookupError):
                process.kill()
        code = await process.wait()
        for job in tuple(self._open_jobs):
            self._close_job(job)
        how = UNHEEDED if self._unheeded else describe_exit(code)
        self._on_exit(EngineExit(code=code, expected=self._stopping, sentence=complaint or how))

    def _close_job(self, job: str) -> None:
        finished = self._open_jobs.pop(job, None)
        if finished is not None:
            finished.set()


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    """The next line, or b"" at the end. Raises ProtocolError at a line longer than the protocol allows."""
    try:
        line = await stream.readline()
    except ValueError:
        raise ProtocolError(f"a line of the engine is longer than {MAX_LINE_BYTES:,} bytes.") from None
    return line if line.endswith(b"\n") else b""  # a torn last line of a killed process is no event


def describe_exit(code: int) -> str:
    """An exit code in one sentence."""
    if code == 0:
        return "The engine ended."
    if code == KILLED:
        return "The engine was killed, probably because the machine ran out of memory."
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"The engine was ended by {name}. Its log: {locations.log_file()}"
    return f"The engine failed with exit code {code}. Its log: {locations.log_file()}"


def _engine_environment() -> dict[str, str]:
    """This process's environment, without what makes libraries print bars or ask the network for news."""
    return {**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONUNBUFFERED": "1"}
