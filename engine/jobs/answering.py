"""The model's answers to one question, from one adapter or from several in one batch."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from engine.errors import ModelError
from engine.jobs.chat import guarded
from engine.jobs.context import Engine
from engine.jobs.model import ensure_bank, ensure_serving
from engine.jobs.reference import hint, score
from engine.jobs.served import Adapters
from engine.model.adapters import AdapterBank
from engine.model.generate import Sampling, TextStream, generate
from engine.model.serving import Serving
from engine.model.template import prompt_ids
from engine.protocol import AnyEvent, Asking, ChatFinished, ChatText, ChatTurn
from engine.safety.guardrails import Finding
from engine.safety.output import AnswerCheck
from engine.scheduler import Cancelled, Job

HISTORY = 4096
"""Tokens of a conversation that are read for an answer. A question alone may be longer."""
FORGOTTEN = 8
"""Turns that are left out at once (four exchanges), so that the next questions find the same beginning, already read."""
LEFT_OUT = f"The beginning of the conversation was left out: {HISTORY:,} tokens of it are read."


def answer(engine: Engine, command: Asking, names: Sequence[str], asked: float) -> Job:
    """Stream every adapter's answer, then what its reference answer scores and which hospital might know best.

    Args:
        asked: when the question arrived, on the monotonic clock.

    Raises:
        ModelError, RunError: an adapter or its base model is not to be had, or the question is too long.
    """
    adapters = Adapters(engine, command.run)
    config = adapters.manifest.config if adapters.manifest else command.config
    serving = yield from _serving(engine, command, adapters)
    found = [adapters.find(name) for name in names]
    served = [adapter for adapter, _ in found]
    turns, prompt = _fitting(serving, command)
    decoding = serving.continued(served[0], prompt) if len(served) == 1 else serving.start(served)
    shortened = "" if len(turns) == len(command.turns) else LEFT_OUT
    facts = _Facts(command, asked, serving, len(prompt), decoding.ids.shape[1])
    answers = [_Answer(facts, name, f"{note} {shortened}".strip()) for name, (_, note) in zip(names, found, strict=True)]
    sampling = Sampling(command.max_tokens, command.temperature, command.top_p, command.seed, command.repetition_penalty)
    try:
        for item in generate(decoding, prompt, sampling, serving.ends):
            yield from (None,) if item is None else answers[item[0]].take(item[1])
        for one in answers:
            yield from one.finish()
    except Cancelled:
        for one in answers:
            yield from one.finish(stopped=True)
        raise
    if command.score:
        yield from score(engine, serving, command, config, dict(zip(names, served, strict=True)))
    if command.hint:
        yield from hint(serving, command, config, adapters)


@dataclass(frozen=True)
class _Facts:
    """What all answers to one question share."""

    command: Asking
    asked: float
    serving: Serving
    prompt_tokens: int
    reused_tokens: int


@dataclass
class _Answer:
    """One adapter's answer as it grows: tokens in, checked text out."""

    facts: _Facts
    adapter: str
    note: str
    tokens: int = 0
    first: float = 0.0
    finished: bool = False
    stream: TextStream = field(init=False)
    check: AnswerCheck = field(init=False)

    def __post_init__(self) -> None:
        self.stream = TextStream(self.facts.serving.bank.base.tokenizer)
        self.check = AnswerCheck(self.facts.command.turns)

    def take(self, token: int | None) -> Iterator[AnyEvent | None]:
        """The next token, or None at the end of the answer."""
        if token is None:
            yield from self.finish()
            return
        self.tokens += 1
        self.first = self.first or time.monotonic() - self.facts.asked
        yield from self._say(self.check.push(self.stream.push(token)))
        yield None

    def finish(self, *, stopped: bool = False) -> Iterator[AnyEvent]:
        """What is still held back, and the end. Nothing when that was said before."""
        if self.finished:
            return
        self.finished = True
        yield from self._say(self.check.push(self.stream.flush()))
        yield from self._say(self.check.flush())
        yield ChatFinished(
            job=self.facts.command.job,
            adapter=self.adapter,
            tokens=self.tokens,
            first_token_seconds=self.first,
            seconds=time.monotonic() - self.facts.asked,
            stopped=stopped,
            note=self.note,
            prompt_tokens=self.facts.prompt_tokens,
            reused_tokens=self.facts.reused_tokens,
        )

    def _say(self, checked: Iterable[str | Finding]) -> Iterator[AnyEvent]:
        job = self.facts.command.job
        for piece in checked:
            if isinstance(piece, Finding):
                yield guarded(job, piece, self.adapter)
            else:
                yield ChatText(job=job, adapter=self.adapter, text=piece)


def _serving(engine: Engine, command: Asking, adapters: Adapters) -> Generator[AnyEvent | None, None, Serving]:
    """The loaded model, ready to answer."""
    return (yield from ensure_serving(engine, (yield from _bank(engine, command, adapters))))


def _bank(engine: Engine, command: Asking, adapters: Adapters) -> Generator[AnyEvent | None, None, AdapterBank]:
    manifest = adapters.manifest
    if manifest is not None and manifest.run == engine.live_run and engine.bank is not None:
        return engine.bank
    return (yield from ensure_bank(engine, command.job, (manifest.config if manifest else command.config).model))


def _fitting(serving: Serving, command: Asking) -> tuple[list[ChatTurn], list[int]]:
    """The conversation and its token ids, without its oldest exchanges where it is longer than `HISTORY`."""
    turns = list(command.turns)
    first = 1 if turns[0].role == "system" else 0
    room = serving.room - min(command.max_tokens, serving.room // 4)
    while len(prompt := prompt_ids(serving.bank.base.tokenizer, turns)) > min(room, HISTORY) and len(turns) - first > 1:
        del turns[first : first + min(FORGOTTEN, len(turns) - first - 1)]
    if len(prompt) > room:
        raise ModelError(
            f"the question has {len(prompt):,} tokens; the model can hold {room:,} beside an answer.",
            where="chat",
            hint="Shorten the question.",
        )
    return turns, prompt
