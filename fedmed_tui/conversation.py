"""What was asked and answered, adapter by adapter, kept while the application lives."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.protocol import BASE, ChatFinished, ChatText, ChatTurn


@dataclass
class Exchange:
    """One question and its answer, which grows while it is streamed."""

    job: str
    question: str
    answer: str = ""
    finished: ChatFinished | None = None
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
class Conversation:
    """Every exchange with one adapter, in order."""

    adapter: str
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def turns(self) -> tuple[ChatTurn, ...]:
        """What the engine needs to answer the last question: earlier questions without an answer are left out."""
        turns: list[ChatTurn] = []
        for exchange in self.exchanges[:-1]:
            if exchange.answer:
                turns.append(ChatTurn(role="user", text=exchange.question))
                turns.append(ChatTurn(role="assistant", text=exchange.answer))
        turns.append(ChatTurn(role="user", text=self.exchanges[-1].question))
        return tuple(turns)


class Conversations:
    """All of them, and which exchanges are still open."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str], Conversation] = {}
        self._open: dict[str, Exchange] = {}
        self.last_answer: Exchange | None = None
        """The latest complete one of any conversation."""

    def of(self, run: str, adapter: str) -> Conversation:
        """The conversation with one adapter of one run; the base model is the same in every run."""
        key = ("" if adapter == BASE else run, adapter)
        return self._by_key.setdefault(key, Conversation(adapter=adapter))

    def ask(self, conversation: Conversation, job: str, question: str) -> Exchange:
        """Add a question; its answer is what arrives for `job`."""
        exchange = Exchange(job=job, question=question)
        conversation.exchanges.append(exchange)
        self._open[job] = exchange
        return exchange

    def take_text(self, event: ChatText) -> None:
        """The next piece of an answer."""
        if event.job in self._open:
            self._open[event.job].answer += event.text

    def finish(self, event: ChatFinished) -> None:
        """An answer is complete."""
        if event.job in self._open:
            self.last_answer = self._open[event.job]
            self.last_answer.finished = event

    def close(self, job: str, why: str) -> bool:
        """No more comes for `job`; `why` is shown unless the answer is complete or failed before. Whether it was a chat's."""
        exchange = self._open.pop(job, None)
        if exchange is not None and exchange.open:
            exchange.failure = why
        return exchange is not None

    def close_all(self, why: str) -> None:
        """No more comes for anything."""
        for job in list(self._open):
            self.close(job, why)
