"""An engine that only pretends: it speaks the protocol, plays the made-up run of `script.py`, and answers every question.

Run as a process by the tests. `--pace` is the pause between two events of a run in seconds.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator

import script
import script_benchmark
import script_data

from engine.protocol import (
    AnyCommand,
    AnyEvent,
    Cancel,
    Chat,
    ChatFinished,
    ChatText,
    Compare,
    DescribeData,
    EngineReady,
    Failure,
    JobFinished,
    Progress,
    ReferenceScored,
    Resources,
    ResumeRun,
    RouterHinted,
    RunBenchmark,
    RunFinished,
    Shutdown,
    Stamped,
    StartRun,
    WhatIf,
    WhatIfEvaluated,
    WhatIfLoss,
    decode_command,
    encode_event,
)
from engine.settings import DEMO, RunConfig

ANSWER = "It depends on the **cause**. Drink enough, rest, and see a clinician if it does not pass within a few days."
IMPOSSIBLE = "impossible"
"""A question with this word fails."""
EMERGENCY = "collapsed"
"""A question with this word gets a fixed message."""
HELP = "Call the emergency number now."
KNOWN = "diabetes"
"""A question with this word is a known test pair of hospital A."""


class FakeEngine:
    """One loop, as in the real one: a piece of an answer goes before the next event of the run."""

    def __init__(self, pace: float) -> None:
        self._pace = pace
        self._commands: queue.SimpleQueue[AnyCommand | None] = queue.SimpleQueue()
        self._jobs: dict[str, Iterator[AnyEvent]] = {}
        self._seq = 0

    def run(self) -> None:
        """Until Shutdown or the end of standard input."""
        threading.Thread(target=self._read, daemon=True).start()
        self._emit(EngineReady(protocol=1, pid=os.getpid(), version="0.1.0", log="engine.log"))
        while True:
            try:
                command = self._commands.get(timeout=self._pace if self._jobs else None)
            except queue.Empty:
                self._step()
                continue
            if command is None or isinstance(command, Shutdown):
                return
            self._handle(command)

    def _read(self) -> None:
        for line in sys.stdin.buffer:
            self._commands.put(decode_command(line))
        self._commands.put(None)

    def _handle(self, command: AnyCommand) -> None:
        match command:
            case DescribeData():
                self._jobs[command.job] = iter([script.partition(name, command.job) for name in ("A", "B", "C")])
            case StartRun():
                self._jobs[command.job] = self._training(command.job, command.run, command.config, 0)
            case ResumeRun():
                self._jobs[command.job] = self._training(command.job, command.run, DEMO, 1)
            case RunBenchmark():
                self._jobs[command.job] = script_benchmark.measure(command)
            case WhatIf():
                self._jobs[command.job] = self._what_if(command)
            case Chat() | Compare():
                self._jobs[command.job] = self._answer(command)
            case _ if isinstance(command, script_data.COMMANDS):
                self._jobs[command.job] = script_data.answer(command)
            case Cancel() if command.job in self._jobs:
                self._cancel(command.job)

    def _training(self, job: str, run: str, config: RunConfig, completed: int) -> Iterator[AnyEvent]:
        yield Progress(job=job, what="Loading the base model", done=1, total=2)
        yield script.MODEL
        yield Resources(memory_bytes=1_180_000_000)
        yield from script.run_events(run, config, completed=completed)

    def _answer(self, command: Chat | Compare) -> Iterator[AnyEvent]:
        question = command.turns[-1].text
        adapters = (command.adapter,) if isinstance(command, Chat) else command.adapters
        if IMPOSSIBLE in question:
            yield Failure(job=command.job, title="Model", message="the adapter is missing.", where="", hint="Train first.")
            return
        if EMERGENCY in question:
            yield script.emergency(command.job, HELP)
        answer = HELP if EMERGENCY in question else ANSWER if command.temperature == 0 else f"{ANSWER} (seed {command.seed})"
        for words in zip(*(f"({name}) {answer}".split(" ") for name in adapters), strict=True):
            for name, word in zip(adapters, words, strict=True):
                yield ChatText(job=command.job, adapter=name, text=f"{word} ")
        for name in adapters:
            yield _end(command.job, name, len(answer.split(" ")) + 1)
        if EMERGENCY in question:
            return
        if KNOWN in question:
            for place, name in enumerate(adapters):
                yield ReferenceScored(job=command.job, adapter=name, hospital="A", loss=2.5 - place / 10, tokens=40)
        if command.hint:
            yield RouterHinted(job=command.job, best="B", losses={"A": 3.0, "B": 2.0, "C": 4.0})

    def _what_if(self, command: WhatIf) -> Iterator[AnyEvent]:
        names = sorted(command.weights)
        if all(weight == 0 for weight in command.weights.values()):
            yield Failure(job=command.job, title="Run", message="nobody counts.", where="", hint="Give one hospital a weight.")
            return
        for done, name in enumerate(names, start=1):
            yield Progress(job=command.job, what=f"trying other weights at {name}", done=done, total=len(names))
        losses = tuple(WhatIfLoss(hospital=name, loss=2.48, as_aggregated=2.5, pairs=16) for name in names)
        yield WhatIfEvaluated(
            job=command.job, run=command.run, round=3, weights=command.weights, losses=losses, gain=0.008, error=0.0021
        )

    def _cancel(self, job: str) -> None:
        del self._jobs[job]
        if job.startswith("run"):
            self._emit(RunFinished(run=script.RUN, outcome="cancelled", completed=0, rounds=3, folder="", seconds=12.0))
        if job.startswith("chat"):
            self._emit(ChatFinished(job=job, adapter="base", tokens=3, first_token_seconds=0.2, seconds=0.5, stopped=True))
        self._emit(JobFinished(job=job, outcome="cancelled"))

    def _step(self) -> None:
        job = next((name for name in self._jobs if not name.startswith("run")), next(iter(self._jobs)))
        event = next(self._jobs[job], None)
        if event is not None:
            self._emit(event)
            return
        del self._jobs[job]
        self._emit(JobFinished(job=job, outcome="done"))

    def _emit(self, event: AnyEvent) -> None:
        self._seq += 1
        sys.stdout.buffer.write(encode_event(Stamped(seq=self._seq, time=time.time(), event=event)))
        sys.stdout.buffer.flush()


def _end(job: str, adapter: str, tokens: int) -> ChatFinished:
    return ChatFinished(job=job, adapter=adapter, tokens=tokens, first_token_seconds=0.2, seconds=tokens / 20, stopped=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pace", type=float, default=0.01)
    FakeEngine(parser.parse_args().pace).run()
