"""A hospital's engine process, seen from NVFlare's job beside it: started when it is needed, replaced when it died.

Requests and answers lie in a folder that only this user can enter: a command line of the engine's protocol names the file.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal

from engine.interpreter import module_argv
from engine.protocol import (
    AnyCommand,
    AnyEvent,
    Attend,
    Cancel,
    Failure,
    Hello,
    JobFinished,
    Shutdown,
    StepDone,
    TrainingStarted,
    decode_event,
    encode_command,
)

QUIT_SECONDS = 5.0
HALT_SECONDS = 30.0
"""An engine that has not stopped a late call after so long hangs, and is replaced."""
JOIN = "join"
TOLD = (TrainingStarted, StepDone)
"""Events that the coordinator hears of; the engine's others are the hospital's own business."""


class Fallen(Exception):
    """There is no answer: the engine died (`gone`), was told to stop (`late`), or could not write one (`raised`)."""

    def __init__(self, kind: Literal["gone", "late", "raised"], code: int = 0) -> None:
        super().__init__(kind)
        self.kind = kind
        self.code = code


class Child:
    """Answers calls, one at a time, with an engine process of its own.

    Args:
        hospital: its name.
        kit: the hospital's kit: its policy is in there.
        data: the hospital's partition.
    """

    def __init__(self, hospital: str, kit: Path, data: Path) -> None:
        self._hospital, self._kit, self._data = hospital, kit, data
        self._folder = tempfile.TemporaryDirectory(prefix="fedmed-hospital-")  # mode 0700
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._writing = threading.Lock()
        self._number = 0
        self._calls = 0
        self._joined = b""
        self._knows: subprocess.Popen[bytes] | None = None
        """The process that has joined the run."""
        self._joining = False
        """A new process is joining: nobody disturbs it, or a call that takes less time than that would never be answered."""

    def call(self, method: str, payload: bytes, tell: Callable[[AnyEvent], None]) -> bytes:
        """The engine's answer. A call that comes while another runs (it was late) ends that one. Raises Fallen."""
        self._calls += 1
        own = self._calls
        self._take_turn()
        try:
            if method == JOIN:
                self._joined = payload
            elif self._joined and not (self._alive and self._knows is self._process):
                self._join_again()
            if own != self._calls:
                raise Fallen("late")  # the next call has come meanwhile
            return self._ask(method, payload, tell)
        finally:
            self._turn.release()

    def halt(self) -> None:
        """Stop the call in progress, at its next micro-step."""
        if self._turn.locked() and self._alive and not self._joining:
            self._send(Cancel(job=str(self._number)))

    def _take_turn(self) -> None:
        """Stop the call in progress and wait for its end. An engine that does not stop hangs; the next call gets a new one."""
        self.halt()
        process = self._process
        while not self._turn.acquire(timeout=HALT_SECONDS):
            if process is not None and not self._joining:
                process.kill()  # whoever follows it sees that

    def _join_again(self) -> None:
        """A new process knows nothing of the run yet."""
        self._joining = True
        try:
            self._ask(JOIN, self._joined, lambda event: None)
        finally:
            self._joining = False

    def close(self) -> None:
        """End the engine process."""
        process = self._process
        if process is not None and process.poll() is None:
            self._send(Shutdown())
            try:
                process.wait(QUIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        self._folder.cleanup()

    @property
    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _ask(self, method: str, payload: bytes, tell: Callable[[AnyEvent], None]) -> bytes:
        if not self._alive:
            self._start()
        self._number += 1
        job = str(self._number)
        request, answer = Path(self._folder.name) / f"{job}.request", Path(self._folder.name) / f"{job}.answer"
        request.write_bytes(payload)
        self._send(
            Attend(
                job=job, hospital=self._hospital, method=method, request=str(request), answer=str(answer),
                kit=str(self._kit), data=str(self._data),
            )
        )  # fmt: skip
        self._follow(job, tell)
        if method == JOIN:
            self._knows = self._process
        try:
            return answer.read_bytes()
        finally:
            request.unlink(missing_ok=True)
            answer.unlink(missing_ok=True)

    def _follow(self, job: str, tell: Callable[[AnyEvent], None]) -> None:
        """Pass events on until the job has ended well. Raises Fallen otherwise."""
        process = self._process
        assert process is not None and process.stdout is not None
        for line in process.stdout:
            event = decode_event(line).event
            if isinstance(event, JobFinished) and event.job == job:
                if event.outcome != "done":
                    raise Fallen("late" if event.outcome == "cancelled" else "raised")
                return
            if isinstance(event, Failure) and not event.job:  # it could not read a command, and will not answer it
                raise Fallen("raised")
            if isinstance(event, TOLD):
                tell(event)
        raise Fallen("gone", process.wait())

    def _send(self, command: AnyCommand) -> None:
        assert self._process is not None and self._process.stdin is not None
        stdin: IO[bytes] = self._process.stdin
        with self._writing, suppress(OSError):  # it just died: whoever follows it sees that
            stdin.write(encode_command(command))
            stdin.flush()

    def _start(self) -> None:
        with (self._kit / "engine.log").open("ab") as log:
            self._process = subprocess.Popen(
                module_argv("engine"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "FEDMED_LOG": str(self._kit / "engine.log"), "TOKENIZERS_PARALLELISM": "false"},
            )
        self._send(Hello(attached=False))
