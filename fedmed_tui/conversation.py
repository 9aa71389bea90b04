"""What was asked and answered, by whom, as it grows. One question may have the answers of up to four adapters side by side."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from engine.protocol import (
    BASE,
    SYSTEM_PROMPT,
    AnyEvent,
    ChatFinished,
    ChatText,
    ChatTurn,
    Guarded,
    ReferenceScored,
    RouterHinted,
)

KEPT = 30
"""Exchanges that a conversation keeps; the history has all of them."""


@dataclass
class Answer:
    """One adapter's answer, which grows while it is streamed."""

    adapter: str
    text: str = ""
    findings: list[Guarded] = field(default_factory=list)
    """Sentences that were left out of it, and why."""
    finished: ChatFinished | None = None
    score: ReferenceScored | None = None
    """How likely the adapter finds the reference answer, where there is one."""
    failure: str = ""
    """Why there is no answer, or none to the end."""

    @property
    def open(self) -> bool:
        """More text may come."""
        return self.finished is None and not self.failure

    @property
    def tokens_per_second(self) -> float | None:
        """Rate over the whole answer, the wait for the first token included; None until it is complete."""
        if self.finished is None or self.finished.seconds <= 0 or not self.finished.tokens:
            return None
        return self.finished.tokens / self.finished.seconds


@dataclass
class Exchange:
    """One question and its answers, in the order in which they are shown."""

    job: str
    question: str
    adapters: tuple[str, ...]
    system: str = SYSTEM_PROMPT
    seed: int = 0
    asked: float = field(default_factory=time.time)
    findings: list[Guarded] = field(default_factory=list)
    """What the guardrails found in the question."""
    hint: RouterHinted | None = None
    earlier: bool = False
    """Asked before this conversation began: shown, and not told to the model again."""
    answers: dict[str, Answer] = field(init=False)

    def __post_init__(self) -> None:
        self.answers = {name: Answer(name) for name in self.adapters}

    @property
    def answer(self) -> Answer:
        """The first answer, which is the only one where nothing is compared."""
        return self.answers[self.adapters[0]]

    @property
    def open(self) -> bool:
        """More text may come."""
        return any(answer.open for answer in self.answers.values())

    @property
    def fixed(self) -> Guarded | None:
        """The rule whose message stands instead of every model's answer."""
        return next((finding for finding in self.findings if finding.action == "answered"), None)

    @property
    def notes(self) -> list[Guarded]:
        """Rules whose message belongs beside the answers."""
        return [finding for finding in self.findings if finding.action == "noted"]

    def take(self, event: AnyEvent) -> None:
        """One event of its job."""
        match event:
            case ChatText(adapter=adapter) if adapter in self.answers:
                self.answers[adapter].text += event.text
            case Guarded(adapter=adapter):
                (self.answers[adapter].findings if adapter in self.answers else self.findings).append(event)
            case ChatFinished(adapter=adapter) if adapter in self.answers:
                self.answers[adapter].finished = event
            case ReferenceScored(adapter=adapter) if adapter in self.answers:
                self.answers[adapter].score = event
            case RouterHinted():
                self.hint = event
            case _:
                pass

    def close(self, why: str) -> None:
        """Nothing more comes: `why` is the reason for answers that are not complete."""
        for answer in self.answers.values():
            if answer.open:
                answer.failure = why


@dataclass
class Conversation:
    """Every exchange with one adapter, or with several that are compared, in order."""

    adapters: tuple[str, ...]
    exchanges: list[Exchange] = field(default_factory=list)

    def turns(self, asked: Exchange) -> tuple[ChatTurn, ...]:
        """What the engine needs to answer a question of this conversation.

        Earlier questions without an answer are left out. Compared adapters answer each question on its own: their earlier answers
        differ.
        """
        turns = [ChatTurn(role="system", text=asked.system)]
        for exchange in self.exchanges if len(self.adapters) == 1 else ():
            if exchange is not asked and exchange.answer.text and not exchange.earlier:
                turns.append(ChatTurn(role="user", text=exchange.question))
                turns.append(ChatTurn(role="assistant", text=exchange.answer.text))
        return (*turns, ChatTurn(role="user", text=asked.question))

    def add(self, exchange: Exchange) -> None:
        """Ask one more question. When there are too many the oldest third goes: the rest begins as before for some questions."""
        self.exchanges.append(exchange)
        if len(self.exchanges) > KEPT:
            del self.exchanges[: KEPT // 3]

    def begin_anew(self) -> None:
        """What was said so far stays to be read; the model is not told of it again."""
        for exchange in self.exchanges:
            exchange.earlier = True


def conversation_key(run: str, adapters: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Which conversation is meant. The base model alone is the same in every run."""
    return ("" if adapters == (BASE,) else run, adapters)
