"""The part of `chat.py` that runs over real processes, as a person meets it."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from engine.protocol import Cancel, Chat, ChatFinished, ChatText, ChatTurn, JobFinished, LoadModel, Stamped, StartRun, StepDone
from engine.settings import load_config
from fedmed_tui.engine_client import EngineClient

QUESTION = "What are the symptoms of anaemia?"
OTHER = "How is asthma treated?"
COLD_STARTS = 3


def measure_process(tokens: int) -> None:
    """Cold against loaded, stopping, chat while training."""
    colds = [cold_seconds(tokens) for _ in range(COLD_STARTS)]
    asyncio.run(_measure(tokens, colds))


def cold_seconds(tokens: int) -> float:
    """A whole `fedmed-tui chat --query`: start, load, answer, end."""
    command = [sys.executable, "-m", "fedmed_tui", "chat", "--hospital", "base", "--max-tokens", str(tokens), "--query", QUESTION]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


class _Engine:
    """An engine process with a queue of its events."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Stamped] = asyncio.Queue()
        self.client = EngineClient(self.events.put_nowait, lambda ended: None, attached=True)
        self.jobs = 0

    async def ask(self, question: str, tokens: int) -> ChatFinished:
        """The end of an answer."""
        self.jobs += 1
        job = f"chat-{self.jobs}"
        self.client.send(
            Chat(job=job, adapter="base", turns=(ChatTurn(role="user", text=question),), max_tokens=tokens, score=False)
        )
        while True:
            event = (await self.events.get()).event
            if isinstance(event, ChatFinished) and event.job == job:
                finished = event
            if isinstance(event, JobFinished) and event.job == job:
                return finished

    async def until(self, kind: type[object]) -> object:
        """The next event of a kind."""
        while not isinstance(event := (await self.events.get()).event, kind):
            pass
        return event


async def _measure(tokens: int, colds: Sequence[float]) -> None:
    engine = _Engine()
    await engine.client.start()
    engine.client.send(LoadModel(job="load", config=load_config()))
    await engine.until(JobFinished)
    await engine.ask(OTHER, 4)
    answers = []
    for _ in range(5):
        await engine.ask(OTHER, 4)  # so that nothing of the question is remembered
        answers.append(await engine.ask(QUESTION, tokens))
    warms, idle = [one.seconds for one in answers], statistics.median(map(rate, answers))
    times = statistics.median(colds) / statistics.median(warms)
    print(f"cold `chat --query` {spread(colds)} s, the same of the loaded engine {spread(warms)} s: {times:.1f} times (goal 20)")
    print(f"  idle: first token after {statistics.median(one.first_token_seconds for one in answers):.2f} s, {idle:.1f} tokens/s")
    await _measure_stopping(engine)
    await _measure_training(engine, tokens, idle)
    await engine.client.stop()


async def _measure_stopping(engine: _Engine) -> None:
    spent = []
    for number in range(5):
        job = f"stop-{number}"
        engine.client.send(
            Chat(job=job, adapter="base", turns=(ChatTurn(role="user", text=QUESTION),), max_tokens=400, score=False)
        )
        await engine.until(ChatText)
        started = time.perf_counter()
        engine.client.send(Cancel(job=job))
        await engine.until(JobFinished)
        spent.append(1000 * (time.perf_counter() - started))
    print(f"stopping an answer: median {statistics.median(spent):.0f} ms, longest {max(spent):.0f} ms (goal 200)")


async def _measure_training(engine: _Engine, tokens: int, idle: float) -> None:
    config = load_config(overrides={"training.rounds": 1, "training.local_steps": 60, "data.validation_pairs": 2})
    engine.client.send(StartRun(job="run", run="benchmark", config=config))
    await engine.until(StepDone)
    answers = []
    for question in (QUESTION, OTHER) * 4:
        answers.append(await engine.ask(question, tokens))
        await engine.until(StepDone)  # training goes on in between
    firsts = sorted(one.first_token_seconds for one in answers)
    training = statistics.median(map(rate, answers))
    print(f"while training: first token after {statistics.median(firsts):.2f} s (longest {firsts[-1]:.2f}, goal 2)")
    print(f"  {training:.1f} tokens/s, {training / idle:.0%} of the idle rate (goal 60 %)")
    engine.client.send(Cancel(job="run"))
    await engine.until(JobFinished)


def spread(seconds: Sequence[float]) -> str:
    """`7.00 (6.80–7.31)`: median, smallest, largest."""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f})"


def rate(answer: ChatFinished) -> float:
    """Tokens a second after the first."""
    return (answer.tokens - 1) / (answer.seconds - answer.first_token_seconds)
