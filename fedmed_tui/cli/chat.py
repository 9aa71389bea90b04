"""`fedmed-tui chat`: ask the base model, the shared adapter or a hospital's own, without a screen."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Annotated

import typer

from engine.errors import FedMedError, RunError
from engine.protocol import BASE, GLOBAL, Chat, ChatFinished, ChatText, Progress, Stamped
from engine.settings import RunConfig, load_config
from fedmed_tui import runs
from fedmed_tui.cli import CANCELLED, DONE
from fedmed_tui.cli.output import print_json, printable
from fedmed_tui.cli.session import EngineSession, JobOutcome, OnEvent
from fedmed_tui.conversation import Conversation, Exchange
from fedmed_tui.disclaimer import DISCLAIMER
from fedmed_tui.units import duration


def chat(
    *,
    hospital: Annotated[str, typer.Option(metavar="NAME", help="Whose adapter answers: a hospital, global, or base.")] = GLOBAL,
    run: Annotated[
        str, typer.Option(metavar="RUN", help="The run that left the adapter.", show_default="the latest with adapters")
    ] = "",
    query: Annotated[str | None, typer.Option(metavar="TEXT", help="One question; without it, a conversation.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Standard output is the engine's events, one a line.")] = False,
) -> int:
    """Chat with one adapter. Questions may be piped in, one a line; each is then answered on its own.

    In a conversation, Ctrl+C stops an answer and Ctrl+D leaves.
    """
    if query is not None and not query.strip():
        raise FedMedError("the question is empty.", where="--query", hint='For example --query "What is anaemia?".')
    chat = ChatSession(*choose_adapter(hospital, run), as_json=as_json)
    if query is not None:
        work = chat.answer_each([query])
    elif sys.stdin.isatty():
        print("Ctrl+C stops an answer, Ctrl+D leaves.", file=sys.stderr)
        work = chat.talk(_typed_questions(prompt="" if as_json else "You: "))
    else:
        work = chat.answer_each(_piped_questions())
    return DONE if asyncio.run(work) == "done" else CANCELLED


def choose_adapter(hospital: str, run: str) -> tuple[str, str, RunConfig]:
    """The adapter, the run it is from and the settings to load its base model with.

    Without a trained run the base model answers, and a note on standard error says so.

    Raises:
        RunError: no such run, or it has no such adapter.
    """
    if hospital == BASE and not run:
        return BASE, "", load_config()
    manifest = runs.load_manifest(run) if run else runs.latest_trained()
    if manifest is None:
        note = "No run has left adapters yet, so the untrained base model answers. `fedmed-tui train` makes some."
        print(note, file=sys.stderr)
        return BASE, "", load_config()
    available = (BASE, *runs.adapters(manifest.run))
    if hospital not in available:
        raise RunError(f"has no adapter '{hospital}'.", where=manifest.run, hint=f"Choose one of: {', '.join(available)}.")
    if not run:
        print(f"Run {manifest.run}, adapter {hospital}.", file=sys.stderr)
    return hospital, manifest.run, manifest.config


class ChatSession:
    """Questions to one adapter, in one engine process."""

    def __init__(self, adapter: str, run: str, config: RunConfig, *, as_json: bool) -> None:
        self._adapter = adapter
        self._run = run
        self._config = config
        self._show: OnEvent = _show_json if as_json else self._show_text
        self._conversation = Conversation(adapter)
        self._jobs = count(1)
        self._work = ""

    async def answer_each(self, questions: Iterable[str]) -> JobOutcome:
        """Answer each question on its own, until one is interrupted."""
        async with EngineSession(self._take) as session:
            for question in questions:
                self._conversation = Conversation(self._adapter)
                if await self._ask(session, question) == "cancelled":
                    return "cancelled"
        return "done"

    async def talk(self, questions: Iterable[str]) -> JobOutcome:
        """Answer each question with the earlier ones in mind; an interrupted answer does not end the conversation."""
        async with EngineSession(self._take) as session:
            for question in questions:
                await self._ask(session, question)
        return "done"

    async def _ask(self, session: EngineSession, question: str) -> JobOutcome:
        job, talk = f"chat-{next(self._jobs)}", self._conversation
        talk.exchanges.append(Exchange(job=job, question=question))
        return await session.run(Chat(job=job, adapter=self._adapter, turns=talk.turns, run=self._run, config=self._config))

    def _take(self, stamped: Stamped) -> None:
        if isinstance(stamped.event, ChatText):
            self._conversation.exchanges[-1].answer += stamped.event.text
        self._show(stamped)

    def _show_text(self, stamped: Stamped) -> None:
        match stamped.event:
            case Progress(what=what) if what != self._work:
                self._work = what
                print(f"… {what}", file=sys.stderr)
            case ChatText(text=text):
                print(printable(text), end="", flush=True)
            case ChatFinished() as finished:
                print(f"\n\n{DISCLAIMER}\n", flush=True)
                print(_pace(finished), file=sys.stderr)


def _show_json(stamped: Stamped) -> None:
    print_json(stamped)
    if isinstance(stamped.event, ChatFinished):
        print(DISCLAIMER, file=sys.stderr)


def _pace(finished: ChatFinished) -> str:
    rate = finished.tokens / finished.seconds if finished.seconds else 0.0
    parts = (
        f"{finished.adapter}: {finished.tokens} tokens, {rate:.1f} tokens/s, "
        f"first after {duration(finished.first_token_seconds)}{', stopped' if finished.stopped else ''}.",
        finished.note,
    )
    return " ".join(part for part in parts if part)


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
