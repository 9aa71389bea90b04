"""`fedmed-tui chat`: ask the base model, the shared adapter or a hospital's own, without a screen."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import count
from typing import Annotated

import typer

from engine.errors import FedMedError, RunError
from engine.protocol import BASE, GLOBAL, SYSTEM_PROMPT, Chat, Compare, Stamped
from engine.settings import RunConfig, load_config
from fedmed_tui import runs
from fedmed_tui.chatdesk import Manner
from fedmed_tui.cli import CANCELLED, DONE
from fedmed_tui.cli.chat_output import AnswerPrinter, show_json
from fedmed_tui.cli.session import EngineSession, JobOutcome, OnEvent
from fedmed_tui.conversation import Conversation, Exchange


def chat(
    *,
    hospital: Annotated[
        str, typer.Option(metavar="NAME", help="Whose adapter answers: a hospital, global, global@2 (after round 2), or base.")
    ] = GLOBAL,
    compare: Annotated[
        str, typer.Option(metavar="NAMES", help="2 to 4 adapters that answer the same question, e.g. base,A,B,global.")
    ] = "",
    run: Annotated[
        str, typer.Option(metavar="RUN", help="The run that left the adapter.", show_default="the latest with adapters")
    ] = "",
    query: Annotated[str | None, typer.Option(metavar="TEXT", help="One question; without it, a conversation.")] = None,
    system: Annotated[str, typer.Option(metavar="TEXT", help="What the model is told before the question.")] = SYSTEM_PROMPT,
    max_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Longest answer.")] = 200,
    temperature: Annotated[
        float, typer.Option(min=0.0, max=100.0, metavar="T", help="0 takes the likeliest token, 1 draws freely.")
    ] = 0.0,
    top_p: Annotated[float, typer.Option(min=0.01, max=1.0, metavar="P", help="Draw from this share of probability.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, metavar="N", help="Same seed, same draw.")] = 0,
    hint: Annotated[bool, typer.Option("--hint", help="Also say which hospital's adapter finds the question least new.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Standard output is the engine's events, one a line.")] = False,
) -> int:
    """Chat with one adapter, or compare several. Questions may be piped in, one a line; each is then answered on its own.

    In a conversation, Ctrl+C stops an answer and Ctrl+D leaves. Emergencies get a fixed message; no option takes the disclaimer
    away.
    """
    if query is not None and not query.strip():
        raise FedMedError("the question is empty.", where="--query", hint='For example --query "What is anaemia?".')
    names = tuple(name.strip() for name in compare.split(",")) if compare else (hospital,)
    if compare and not 2 <= len(set(names)) == len(names) <= 4:
        raise FedMedError(
            "does not name 2 to 4 different adapters.", where="--compare", hint="For example --compare base,A,B,global."
        )
    adapters, run, config = choose_adapters(names, run)
    manner = Manner(system=system, max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed, hint=hint)
    chat = ChatSession(adapters, run, config, manner, as_json=as_json)
    if query is not None:
        work = chat.answer_each([query])
    elif not sys.stdin.isatty():
        work = chat.answer_each(_piped_questions())
    else:
        print("Ctrl+C stops an answer, Ctrl+D leaves.", file=sys.stderr)
        work = chat.talk(_typed_questions(prompt="" if as_json else "You: "))
    return DONE if asyncio.run(work) == "done" else CANCELLED


def choose_adapters(names: tuple[str, ...], run: str) -> tuple[tuple[str, ...], str, RunConfig]:
    """The adapters, the run they are from and the settings to load its base model with.

    Where no run has left adapters and none is asked for by name, the base model answers, and a note on standard error says so.

    Raises:
        RunError: no such run, or it has no such adapter.
    """
    if set(names) == {BASE} and not run:
        return names, "", load_config()
    manifest = runs.load_manifest(run) if run else runs.latest_trained()
    if manifest is None:
        if names != (GLOBAL,):
            raise RunError("no run has left adapters yet.", where=", ".join(names), hint="`fedmed-tui train` makes some.")
        note = "No run has left adapters yet, so the untrained base model answers. `fedmed-tui train` makes some."
        print(note, file=sys.stderr)
        return (BASE,), "", load_config()
    available = (BASE, *runs.adapters(manifest.run), *(f"{GLOBAL}@{number + 1}" for number in range(manifest.completed)))
    for name in names:
        if name not in available:
            raise RunError(f"has no adapter '{name}'.", where=manifest.run, hint=f"Choose one of: {', '.join(available)}.")
    if not run:
        print(f"Run {manifest.run}, adapter {', '.join(names)}.", file=sys.stderr)
    return names, manifest.run, manifest.config


class ChatSession:
    """Questions to one adapter, or to several at once, in one engine process."""

    def __init__(self, adapters: tuple[str, ...], run: str, config: RunConfig, manner: Manner, *, as_json: bool) -> None:
        self._adapters = adapters
        self._run = run
        self._config = config
        self._manner = manner
        self._show: OnEvent = show_json if as_json else AnswerPrinter(adapters)
        self._conversation = Conversation(adapters)
        self._jobs = count(1)

    async def answer_each(self, questions: Iterable[str]) -> JobOutcome:
        """Answer each question on its own, until one is interrupted."""
        async with EngineSession(self._take) as session:
            for question in questions:
                self._conversation = Conversation(self._adapters)
                if await self._ask(session, question) == "cancelled":
                    return "cancelled"
        return "done"

    async def talk(self, questions: Iterable[str]) -> JobOutcome:
        """Answer each question with the earlier ones in mind; an interrupted answer does not end the conversation.

        Compared adapters answer each question on its own: their earlier answers differ.
        """
        async with EngineSession(self._take) as session:
            for question in questions:
                if len(self._adapters) > 1:
                    self._conversation = Conversation(self._adapters)
                await self._ask(session, question)
        return "done"

    async def _ask(self, session: EngineSession, question: str) -> JobOutcome:
        manner = asdict(self._manner)
        exchange = Exchange(f"chat-{next(self._jobs)}", question, self._adapters, system=manner.pop("system"))
        turns = self._conversation.turns(exchange)
        self._conversation.add(exchange)
        common = {"job": exchange.job, "turns": turns, "run": self._run, "config": self._config, **manner}
        if len(self._adapters) > 1:
            return await session.run(Compare(adapters=self._adapters, **common))
        return await session.run(Chat(adapter=self._adapters[0], **common))

    def _take(self, stamped: Stamped) -> None:
        self._conversation.exchanges[-1].take(stamped.event)
        self._show(stamped)


def _typed_questions(prompt: str) -> Iterator[str]:
    """What is typed, until Ctrl+D."""
    with suppress(ImportError):  # not on Windows
        import readline  # noqa: F401  (gives `input` editing keys and recall)
    while True:
        try:
            with _keyboard_interrupts():
                question = input(prompt).strip()
        except EOFError:
            print()
            return
        if question:
            yield question


def _piped_questions() -> Iterator[str]:
    """Lines of standard input, empty ones left out."""
    while True:
        with _keyboard_interrupts():
            line = sys.stdin.readline()
        if not line:
            return
        if question := line.strip():
            yield question


@contextmanager
def _keyboard_interrupts() -> Iterator[None]:
    """Let Ctrl+C interrupt a wait for input; asyncio would only note it until the loop runs again.

    The loop stands still meanwhile, on purpose: a thread that waits for input could not be interrupted.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
