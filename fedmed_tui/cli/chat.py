"""`fedmed-tui chat`: ask the base model, the shared adapter or a hospital's own, without a screen."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from engine.errors import FedMedError, RunError
from engine.protocol import BASE, GLOBAL, Chat, ChatFinished, ChatText, ChatTurn, Progress, Stamped
from engine.settings import RunConfig, load_config
from fedmed_tui import runs
from fedmed_tui.cli import CANCELLED, DONE, complain
from fedmed_tui.cli.output import print_json
from fedmed_tui.cli.session import EngineSession, JobOutcome, OnEvent
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
    conversation = Conversation(*choose_adapter(hospital, run), as_json=as_json)
    if query is not None:
        work = conversation.answer_all([query])
    elif sys.stdin.isatty():
        work = conversation.talk()
    else:
        work = conversation.answer_all(line for line in sys.stdin if line.strip())
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


class Conversation:
    """Questions to one adapter, in one engine process."""

    def __init__(self, adapter: str, run: str, config: RunConfig, *, as_json: bool) -> None:
        self._adapter = adapter
        self._run = run
        self._config = config
        self._as_json = as_json
        self._asked = 0

    async def answer_all(self, questions: list[str] | Iterator[str]) -> JobOutcome:
        """Answer each question on its own, until one is interrupted."""
        answer = Answer(as_json=self._as_json)
        async with EngineSession(answer.show) as session:
            for question in questions:
                if await self._ask(session, (ChatTurn(role="user", text=question.strip()),)) == "cancelled":
                    return "cancelled"
        return "done"

    async def talk(self) -> JobOutcome:
        """A conversation at the prompt; every turn knows the earlier ones."""
        turns: tuple[ChatTurn, ...] = ()
        answer = Answer(as_json=self._as_json)
        async with EngineSession(answer.show) as session:
            while (question := _read_question()) is not None:
                if not question:
                    continue
                asked = (*turns, ChatTurn(role="user", text=question))
                answer.text = ""
                try:
                    await self._ask(session, asked)
                except RunError as error:
                    complain(error)
                    continue
                turns = (*asked, ChatTurn(role="assistant", text=answer.text))
        return "done"

    async def _ask(self, session: EngineSession, turns: tuple[ChatTurn, ...]) -> JobOutcome:
        self._asked += 1
        job = f"chat-{self._asked}"
        return await session.run(Chat(job=job, adapter=self._adapter, turns=turns, run=self._run, config=self._config))


class Answer:
    """One answer as it streams in."""

    def __init__(self, *, as_json: bool) -> None:
        self.text = ""
        self.show: OnEvent = self._show_json if as_json else self._show_text
        self._work = ""

    def _show_json(self, stamped: Stamped) -> None:
        print_json(stamped)
        if isinstance(stamped.event, ChatFinished):
            print(DISCLAIMER, file=sys.stderr)

    def _show_text(self, stamped: Stamped) -> None:
        match stamped.event:
            case Progress(what=what) if what != self._work:
                self._work = what
                print(f"… {what}", file=sys.stderr)
            case ChatText(text=text):
                self.text += text
                print(text, end="", flush=True)
            case ChatFinished() as finished:
                print(f"\n\n{DISCLAIMER}\n", flush=True)
                print(_pace(finished), file=sys.stderr)


def _pace(finished: ChatFinished) -> str:
    rate = finished.tokens / finished.seconds if finished.seconds else 0.0
    parts = (
        f"{finished.adapter}: {finished.tokens} tokens, {rate:.1f} tokens/s, "
        f"first after {duration(finished.first_token_seconds)}{', stopped' if finished.stopped else ''}.",
        finished.note,
    )
    return " ".join(part for part in parts if part)


def _read_question() -> str | None:
    """The next line typed, or None at its end (Ctrl+D). Ctrl+C raises KeyboardInterrupt.

    The event loop waits meanwhile, on purpose: a thread blocked in `input` could not be interrupted.
    """
    with _keyboard_interrupts():
        try:
            return input("You: ").strip()
        except EOFError:
            print()
            return None


@contextmanager
def _keyboard_interrupts() -> Iterator[None]:
    """Give Ctrl+C its usual meaning; asyncio only notes it until the loop runs again."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
