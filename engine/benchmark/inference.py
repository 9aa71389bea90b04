"""How long people wait: a cold engine against the loaded one, decoding speed, a batch, memory, switching adapters.

Cold and warm answer the same question in full, greedily, through the same `Chat` command. Cold starts a new engine process, so it
pays for the interpreter, the libraries and the model's files (which the system may still hold in its cache). Warm asks other
questions in between, so that no answer is kept from the last time.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from itertools import cycle

from engine.benchmark.cold import ask_cold
from engine.benchmark.recorded import spread
from engine.benchmark.results import Inference, Spread
from engine.benchmark.suite import DECODE, Item, Measuring, NotMeasured, Subject, Tick
from engine.jobs.chat import chat
from engine.jobs.served import Adapters
from engine.model.decoding import BankDecoder
from engine.model.generate import Sampling, generate
from engine.model.serving import Serving
from engine.model.template import prompt_ids
from engine.protocol import BASE, GLOBAL, Chat, ChatFinished, ChatTurn
from engine.resources import peak_memory, read_resources

QUESTION = "What are the symptoms of anaemia?"
OTHERS = ("What is asthma?", "How is gout treated?", "What causes kidney stones?")
"""Asked in between. None of them meets a guardrail."""
TOKENS = 48
REPEATS = 5
BATCH = 4
SWITCHES = 20
COLD, WARM, SEVERAL = "a question to a cold engine", "questions to the loaded engine", f"{BATCH} questions at once"


def items(subject: Subject) -> list[Item]:
    """See `measure`."""
    answer = DECODE * TOKENS
    return [
        Item(COLD, 10 * answer),
        Item(WARM, (2 * REPEATS + 1) * answer),
        Item(SEVERAL, 2 * BATCH * answer),
    ]


def measure(subject: Subject) -> Measuring[Inference]:
    """Everything above, in this process but for the cold question.

    Raises:
        ModelError, RunError: the run's shared adapter cannot be read any more.
    """
    try:
        cold = yield from ask_cold(_ask(subject, QUESTION), attached=subject.engine.attached)
    except NotMeasured:  # two models may not fit into memory: the loaded one is measured all the same
        cold = None
    answers = yield from _warm(subject)
    serving = subject.engine.serving
    assert serving is not None, "it has just answered"
    prompt = prompt_ids(serving.bank.base.tokenizer, [ChatTurn(role="user", text=QUESTION)])
    single = yield from _rate(subject, serving, prompt, 1)
    together = yield from _rate(subject, serving, prompt, BATCH)
    memory, gpu = read_resources()
    peak, gpu_peak = peak_memory()
    return Inference(
        tokens=answers[0].tokens,
        cold_seconds=cold[1] if cold else None,
        cold_first_token_seconds=cold[0] if cold else None,
        warm_seconds=spread([one.seconds for one in answers]),
        warm_first_token_seconds=spread([one.first_token_seconds for one in answers]),
        tokens_per_second=spread([(one.tokens - 1) / (one.seconds - one.first_token_seconds) for one in answers]),
        batch=BATCH,
        batch_queries_per_second=together,
        single_queries_per_second=single,
        switch_seconds=_switching(subject, serving),
        memory_bytes=memory,
        peak_memory_bytes=peak,
        gpu_bytes=gpu,
        gpu_peak_bytes=gpu_peak,
    )


def _ask(subject: Subject, question: str) -> Chat:
    return Chat(
        job=subject.request.job,
        adapter=GLOBAL,
        turns=(ChatTurn(role="user", text=question),),
        run=subject.request.run,
        config=subject.config,
        max_tokens=TOKENS,
        score=False,
    )


def _warm(subject: Subject) -> Measuring[list[ChatFinished]]:
    """The question again and again, another one each time in between; the first answer warms up and does not count."""
    answers = []
    for number, other in zip(range(REPEATS + 1), cycle(OTHERS), strict=False):
        finished = yield from _answered(subject, QUESTION)
        yield from _answered(subject, other)
        yield Tick(WARM, (number + 1) / (REPEATS + 1))
        answers.append(finished)
    return answers[1:]


def _answered(subject: Subject, question: str) -> Generator[None, None, ChatFinished]:
    for event in chat(subject.engine, _ask(subject, question)):
        if isinstance(event, ChatFinished):
            finished = event
        yield None
    return finished


def _rate(subject: Subject, serving: Serving, prompt: list[int], rows: int) -> Measuring[float]:
    """Queries a second when `BATCH` of them are answered `rows` at a time, each with `TOKENS` tokens whatever they say."""
    adapter, _ = Adapters(subject.engine, subject.request.run).find(GLOBAL)
    started = time.monotonic()
    for done in range(0, BATCH, rows):
        for _ in generate(serving.decoder.start([adapter] * rows), prompt, Sampling(max_tokens=TOKENS), ends=()):
            yield None
        yield Tick(SEVERAL, (done + rows) / BATCH / 2 + (rows > 1) / 2)
    return BATCH / (time.monotonic() - started)


def _switching(subject: Subject, serving: Serving) -> Spread:
    """From the shared adapter to the base model and back, both in memory: until the next token may be computed."""
    find, decoder = Adapters(subject.engine, subject.request.run).find, serving.decoder
    adapters, seconds = [find(name)[0] for name in (GLOBAL, BASE)], list[float]()
    for number in range(2 + SWITCHES):
        started = time.monotonic()
        if isinstance(decoder, BankDecoder):
            decoder.activate(adapters[number % 2])
        else:
            decoder.start([adapters[number % 2]])
        seconds.append(time.monotonic() - started)
    return spread(seconds[2:])  # the first of each puts it into memory
