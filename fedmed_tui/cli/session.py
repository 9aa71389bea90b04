"""One headless command's use of the engine: start it, run jobs one after the other, pass events on, stop it.

    async with EngineSession(print_event) as session:
        outcome = await session.run(DescribeData(job="describe"))

Ctrl+C cancels the job in hand (politely, then with SIGTERM, then with SIGKILL); a second Ctrl+C ends the engine at once.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Literal, Self

from engine.errors import EngineError, FedMedError
from engine.protocol import AnyCommand, Cancel, Failure, Hello, JobFinished, Shutdown, Stamped
from fedmed_tui.cli import CANCELLED, DONE
from fedmed_tui.engine_client import EngineClient, EngineExit
from fedmed_tui.failures import as_error

JobOutcome = Literal["done", "cancelled"]

OnEvent = Callable[[Stamped], None]


def run_job(command: AnyCommand, on_event: OnEvent) -> int:
    """Run one job in an engine of its own; returns the exit code.

    Raises:
        FedMedError: the job failed: what the engine said of it, as the error it was there.
    """

    async def job() -> JobOutcome:
        async with EngineSession(on_event) as session:
            return await session.run(command)

    return DONE if asyncio.run(job()) == "done" else CANCELLED


class EngineSession:
    """An engine process for one headless command.

    Args:
        on_event: called for every event, in order. What it raises ends the job and comes out of `run`.
    """

    def __init__(self, on_event: OnEvent) -> None:
        self._client = EngineClient(self._take, self._engine_ended, attached=False)
        self._on_event = on_event
        self._job = ""
        self._ended: asyncio.Future[JobOutcome] | None = None
        self._failure: Failure | None = None
        self._interrupts = 0
        self._stopping: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._client.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.stop()

    async def run(self, command: AnyCommand) -> JobOutcome:
        """Run one job to its end. Raises FedMedError when it fails or the engine dies."""
        assert not isinstance(command, Hello | Cancel | Shutdown), "no job of its own"
        loop = asyncio.get_running_loop()
        self._job, self._failure, self._interrupts = command.job, None, 0
        self._ended = loop.create_future()
        self._client.send(command)
        with _on_interrupt(lambda: loop.call_soon_threadsafe(self._interrupt)):
            return await self._ended

    def _take(self, stamped: Stamped) -> None:
        try:
            self._on_event(stamped)
        except Exception as error:  # e.g. a closed pipe: it must end the job, not the reader of events
            self._end(error)
        event = stamped.event
        if isinstance(event, Failure) and event.job in (self._job, ""):
            self._failure = event
        elif isinstance(event, JobFinished) and event.job == self._job:
            self._end(self._error("the job failed.") if event.outcome == "failed" else event.outcome)

    def _engine_ended(self, ended: EngineExit) -> None:
        self._end("cancelled" if self._interrupts else self._error(ended.sentence))

    def _end(self, result: JobOutcome | Exception) -> None:
        if self._ended is None or self._ended.done():
            return
        if isinstance(result, Exception):
            self._ended.set_exception(result)
        else:
            self._ended.set_result(result)

    def _error(self, otherwise: str) -> FedMedError:
        """What the engine said was wrong, or else this sentence."""
        return as_error(self._failure) if self._failure else EngineError(otherwise, hint="Run `fedmed-tui doctor`.")

    def _interrupt(self) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            self._in_background(self._client.cancel(self._job))
        else:
            self._in_background(self._client.stop())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._stopping.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._stopping.discard)


@contextmanager
def _on_interrupt(act: Callable[[], object]) -> Iterator[None]:
    """Call `act` on Ctrl+C instead of raising KeyboardInterrupt."""

    def handler(number: int, frame: FrameType | None) -> None:
        act()

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
