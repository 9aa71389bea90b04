"""The chat of a session: conversations, the question in progress, how answers are made, and what is kept. Knows no Textual."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from engine.errors import FedMedError
from engine.protocol import (
    DISCLAIMER,
    FIXED_DISCLAIMER,
    SYSTEM_PROMPT,
    AnyEvent,
    Chat,
    ChatFinished,
    Compare,
    Failure,
    Guarded,
    JobFinished,
)
from engine.settings import RunConfig
from fedmed_tui.conversation import Answer, Conversation, Exchange, conversation_key
from fedmed_tui.engine_client import EngineClient
from fedmed_tui.history import Answered, History

T = TypeVar("T")

SHOWN_AGAIN = 10
"""Exchanges of earlier sessions that a conversation begins with, to be read."""
DRAWN_AT = 0.7
"""Temperature at which an answer is drawn again: at 0 it would be the same one."""
STOPPED = "The answer was stopped before it began."
ENGINE_ENDED = "The engine ended before the answer was complete."


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How answers are made."""

    system: str = SYSTEM_PROMPT
    """What the model is told before the conversation."""
    temperature: float = 0.0
    """0 is greedy: the same question gets the same answer."""
    top_p: float = 0.95
    max_tokens: int = 200
    seed: int = 0
    hint: bool = True
    """Say which hospital's adapter finds the question least surprising."""


@dataclass(frozen=True)
class Place:
    """Whose adapters are asked.

    Args:
        run: the run's name, for the history; empty without one.
        config: the settings to load its base model with.
        live: it is in progress: its adapters are those in memory.
    """

    run: str
    config: RunConfig
    live: bool


class ChatDesk:
    """Asks one question at a time, hears its answers, remembers both.

    Args:
        engine: the engine process; raises EngineError when it is not running.
        new_job: a job's name that was never used.
        changed: called when something on the screens is no longer up to date.
        failed: told what went wrong beside an answer, e.g. that it could not be kept.
        history: where answers are kept; the working folder's own unless a test says otherwise.
    """

    def __init__(
        self,
        engine: Callable[[], EngineClient],
        new_job: Callable[[str], str],
        changed: Callable[[], None],
        failed: Callable[[FedMedError], None],
        history: History | None = None,
    ) -> None:
        self._engine = engine
        self._new_job = new_job
        self._changed = changed
        self._failed = failed
        self.history = history or History()
        self.manner = Manner()
        self._conversations: dict[tuple[str, tuple[str, ...]], Conversation] = {}
        self._recalled: set[tuple[str, tuple[str, ...]]] = set()
        self._turn = asyncio.Lock()
        self._keeping: set[asyncio.Task[None]] = set()
        self._asked: tuple[Exchange, str] | None = None  # the question in progress, and its run
        self.questions: list[str] = []
        """The latest different questions to anybody, oldest first."""
        self.last_answer: Answer | None = None
        """The latest complete one."""

    @property
    def job(self) -> str:
        """The question in progress; empty when there is none."""
        return self._asked[0].job if self._asked else ""

    def conversation(self, run: str, adapters: tuple[str, ...]) -> Conversation:
        """The transcript with one adapter of a run, or with several that are compared."""
        return self._conversations.setdefault(conversation_key(run, adapters), Conversation(adapters))

    # --- the history: another window may hold its file for seconds -------------------------------------------------------------

    async def recall(self, run: str, adapters: tuple[str, ...]) -> None:
        """Begin a conversation with what was asked in earlier sessions, once. Comparisons are found in the history alone."""
        key = conversation_key(run, adapters)
        if key in self._recalled or len(adapters) > 1:
            return
        self._recalled.add(key)
        try:
            earlier = await self._in_turn(partial(self.history.conversation, key[0], adapters[0], SHOWN_AGAIN))
            before = await self._in_turn(self.history.questions)
        except FedMedError as error:
            self._failed(error)
            return
        self.questions = [*(one for one in before if one not in self.questions), *self.questions]
        since = self.conversation(run, adapters).exchanges
        known = {exchange.asked for exchange in since}  # what was answered meanwhile is kept already
        earlier = [one for one in earlier if one.asked not in known]
        if earlier:
            self._conversations[key] = Conversation(adapters, [*map(_remembered, earlier), *since])
            self._changed()

    async def forget(self, run: str, adapter: str) -> None:
        """Remove what one adapter of a run was asked, from the history and from every conversation. Raises RunError."""
        await self._in_turn(partial(self.history.forget, run, adapter))
        for key, known in tuple(self._conversations.items()):
            if adapter in known.adapters and conversation_key(key[0], (adapter,))[0] == run:
                unfinished = [exchange for exchange in known.exchanges if exchange.open]
                self._conversations[key] = Conversation(known.adapters, unfinished)
        self._changed()
        self.questions = await self._in_turn(self.history.questions)

    async def settle(self) -> None:
        """Returns when every answer is kept."""
        await asyncio.gather(*self._keeping)

    async def _in_turn(self, work: Callable[[], T]) -> T:
        """Work on the history beside the event loop, after all that was begun before."""
        async with self._turn:
            return await asyncio.to_thread(work)

    def _keep(self, exchange: Exchange, run: str) -> None:
        for answer in exchange.answers.values():
            if answer.tokens_per_second is not None:
                self.last_answer = answer
        answers = [kept(exchange, answer, run) for answer in exchange.answers.values() if answer.text]
        task = asyncio.get_running_loop().create_task(self._add(answers))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    async def _add(self, answers: list[Answered]) -> None:
        try:
            for one in answers:
                await self._in_turn(partial(self.history.add, one))
        except FedMedError as error:
            self._failed(error)

    # --- asking: each raises EngineError when the engine is not running --------------------------------------------------------

    def ask(self, place: Place, adapters: tuple[str, ...], question: str) -> Exchange:
        """Ask one question; the answers grow in what is returned."""
        return self._send(place, self.conversation(place.run, adapters), question, self.manner)

    def ask_again(self, place: Place, adapters: tuple[str, ...]) -> Exchange | None:
        """Draw another answer to the last question, in place of the one it has; None when there is nothing to ask again."""
        conversation = self.conversation(place.run, adapters)
        if not conversation.exchanges or self.job:
            return None
        before = conversation.exchanges.pop()
        manner = replace(self.manner, temperature=self.manner.temperature or DRAWN_AT, seed=before.seed + 1)
        try:
            return self._send(place, conversation, before.question, manner)
        except FedMedError:
            conversation.exchanges.append(before)
            raise

    def _send(self, place: Place, conversation: Conversation, question: str, manner: Manner) -> Exchange:
        engine, adapters = self._engine(), conversation.adapters
        exchange = Exchange(self._new_job("chat"), question, adapters, system=manner.system, seed=manner.seed)
        common: dict[str, Any] = {
            "job": exchange.job,
            "turns": conversation.turns(exchange),
            "run": "" if place.live else place.run,
            "config": place.config,
            "max_tokens": manner.max_tokens,
            "temperature": manner.temperature,
            "top_p": manner.top_p,
            "seed": manner.seed,
            "hint": manner.hint and bool(place.run),
        }
        engine.send(Compare(adapters=adapters, **common) if len(adapters) > 1 else Chat(adapter=adapters[0], **common))
        conversation.add(exchange)
        self._asked = (exchange, place.run)
        self.questions = [*(one for one in self.questions if one != question), question]
        self._changed()
        return exchange

    async def stop(self) -> None:
        """Stop the answers that are being streamed."""
        if self.job:
            await self._engine().cancel(self.job)

    # --- hearing ---------------------------------------------------------------------------------------------------------------

    def take(self, event: AnyEvent) -> None:
        """One event from the engine. Those of other jobs change nothing."""
        if self._asked is None or getattr(event, "job", "") != self.job:
            return
        exchange, run = self._asked
        match event:
            case Failure():
                exchange.close(" ".join(part for part in (event.message, event.hint) if part))
            case JobFinished():
                exchange.close(STOPPED)
                self._asked = None
                self._keep(exchange, run)
            case _:
                exchange.take(event)

    def engine_ended(self) -> None:
        """No answer will come any more."""
        if self._asked is not None:
            (exchange, run), self._asked = self._asked, None
            exchange.close(ENGINE_ENDED)
            self._keep(exchange, run)


def kept(exchange: Exchange, answer: Answer, run: str) -> Answered:
    """An answer as the history holds it."""
    end = answer.finished
    return Answered(
        run=conversation_key(run, (answer.adapter,))[0],
        adapter=answer.adapter,
        asked=exchange.asked,
        question=exchange.question,
        answer=answer.text,
        system="" if exchange.system == SYSTEM_PROMPT else exchange.system,
        findings="\n".join(finding.title for finding in (*exchange.findings, *answer.findings)),
        note=end.note if end else answer.failure,
        tokens=end.tokens if end else 0,
        seconds=end.seconds if end else 0.0,
        stopped=end.stopped if end else True,
    )


def _remembered(entry: Answered) -> Exchange:
    """An answer of an earlier session as something to read."""
    system = entry.system or SYSTEM_PROMPT
    exchange = Exchange("", entry.question, (entry.adapter,), system=system, asked=entry.asked, earlier=True)
    titles = entry.findings.splitlines()
    fixed = bool(entry.answer and titles) and not entry.tokens  # a rule's message, which must not look like a model's answer
    if fixed:
        exchange.findings = [_applied(titles[0], entry.answer)]
    answer = exchange.answer
    answer.text = entry.answer
    answer.finished = ChatFinished(
        job="",
        adapter=entry.adapter,
        tokens=entry.tokens,
        first_token_seconds=0.0,
        seconds=entry.seconds,
        stopped=entry.stopped,
        note=" ".join((*(f"Safety: {title}." for title in titles if not fixed), entry.note)).strip(),
        disclaimer=FIXED_DISCLAIMER if fixed else DISCLAIMER,
    )
    return exchange


def _applied(title: str, message: str) -> Guarded:
    """The rule whose message was the answer."""
    kept = "The history keeps the title of a rule alone."
    return Guarded(
        job="", layer="refusal", rule="", title=title, reason=kept, source="", action="answered", message=message, matched=""
    )
