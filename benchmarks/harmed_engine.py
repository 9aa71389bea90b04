"""The real engine process with a run that does nothing until it is told to come to harm.

    python -m benchmarks.harmed_engine FILE

Everything is the engine's own (descriptors, loop, scheduler, failure reports) but the run's job, which states the first events of
a run and then waits for a word in FILE.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from pathlib import Path

import engine.__main__ as process
from engine.jobs.context import Engine
from engine.jobs.dispatch import JobCommand
from engine.protocol import HospitalInfo, ResumeRun, RoundStarted, RunStarted, StartRun
from engine.scheduler import Job
from engine.settings import DEMO

RECORD_TEXT = "Mrs Smith, born 1961"
BEAT = 0.02


def _exception() -> None:
    raise ValueError(RECORD_TEXT)


def _memory() -> None:
    bytearray(1 << 60)


def _torch_memory() -> None:
    import torch

    torch.empty(1 << 50)


def _hang() -> None:
    ctypes.PyDLL(None).sleep(10_000)  # in C, and it keeps the interpreter's lock


HARM: dict[str, Callable[[], None]] = {
    "a Python exception": _exception,
    "MemoryError": _memory,
    "torch out of memory": _torch_memory,
    "a hung native call": _hang,
}


def main() -> None:
    """Run the engine's own main with the other job."""
    word, usual = Path(sys.argv[1]), process.job_for

    def job_for(engine: Engine, command: JobCommand) -> Job:
        if isinstance(command, StartRun | ResumeRun):
            return waiting_run(command.run, word)
        return usual(engine, command)

    process.job_for = job_for
    process.main()


def waiting_run(run: str, word: Path) -> Job:
    """A run in its first round, until somebody writes the word."""
    hospitals = tuple(HospitalInfo(name=name, train=9, validation=3, test=3) for name in "ABC")
    yield RunStarted(run=run, config=DEMO, hospitals=hospitals)
    yield RoundStarted(round=1, rounds=DEMO.training.rounds)
    while True:
        if word.exists():
            harm = HARM[word.read_text(encoding="utf-8")]
            word.unlink()
            harm()
        time.sleep(BEAT)
        yield None


if __name__ == "__main__":
    main()
