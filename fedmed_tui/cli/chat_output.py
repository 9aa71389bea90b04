"""How answers are shown on a plain terminal or in a pipe: text on standard output, everything about it on standard error."""

from __future__ import annotations

import math
import sys

from engine.plain_text import on_one_line, printable
from engine.protocol import DISCLAIMER, ChatFinished, ChatText, Guarded, Progress, ReferenceScored, RouterHinted, Stamped
from fedmed_tui.cli.output import print_json
from fedmed_tui.units import duration


def show_json(stamped: Stamped) -> None:
    """The event as the engine said it; the disclaimer stands in it, and beside it for whoever reads along."""
    print_json(stamped)
    if isinstance(stamped.event, ChatFinished):
        print(DISCLAIMER, file=sys.stderr)


class AnswerPrinter:
    """Prints one question's answers: a single one as it comes, compared ones each whole, in the order that was asked for."""

    def __init__(self, adapters: tuple[str, ...]) -> None:
        self._adapters = adapters
        self._work = ""
        self._texts: dict[str, str] = {}
        self._finished: dict[str, ChatFinished] = {}
        self._notes: list[str] = []

    def __call__(self, stamped: Stamped) -> None:
        """Take the next event."""
        match stamped.event:
            case Progress(what=what) if what != self._work:
                self._work = what
                _aside(f"… {what}")
            case Guarded() as found:
                self._note(found)
            case ChatText(adapter=adapter, text=text) if len(self._adapters) > 1:
                self._texts[adapter] = self._texts.get(adapter, "") + text
            case ChatText(text=text):
                print(printable(text), end="", flush=True)
            case ChatFinished() as finished:
                self._finished[finished.adapter] = finished
                self._print_whole()
            case ReferenceScored() as scored:
                _aside(
                    f"A known test question of hospital {scored.hospital}: {scored.adapter} gives the reference answer "
                    f"log-likelihood {-scored.loss:.3f} per token ({scored.tokens} tokens)."
                )
            case RouterHinted() as hinted:
                ranked = sorted(hinted.losses.items(), key=lambda item: item[1])
                listed = ", ".join(f"{name} {math.exp(loss):.1f}" for name, loss in ranked)
                _aside(f"Hospital {hinted.best} may answer this best (perplexity of the question: {listed}).")

    def _note(self, found: Guarded) -> None:
        if found.action == "noted":
            self._notes.append(found.message.strip())
        whose = f"{found.adapter}: " if found.adapter and len(self._adapters) > 1 else ""
        _aside(f"{whose}Safety rule {found.rule} ({found.title.lower()}).")

    def _print_whole(self) -> None:
        """What is complete: the single answer's end, or compared answers once those before them are complete too."""
        if len(self._adapters) == 1:
            self._print_end(self._finished.pop(self._adapters[0]))
            return
        if set(self._finished) != set(self._adapters):
            return
        for adapter in self._adapters:
            print(f"## {on_one_line(adapter)}\n\n{printable(self._texts.get(adapter, '')).strip()}\n")
        ends = [self._finished[adapter] for adapter in self._adapters]
        for end in ends[1:]:
            _aside(_pace(end))
        self._texts, self._finished = {}, {}
        self._print_end(ends[0], gap="")

    def _print_end(self, finished: ChatFinished, gap: str = "\n\n") -> None:
        notes = "".join(f"{printable(note)}\n\n" for note in self._notes)
        self._notes = []
        print(f"{gap}{notes}{finished.disclaimer}\n", flush=True)
        _aside(_pace(finished))


def _pace(finished: ChatFinished) -> str:
    rate = finished.tokens / finished.seconds if finished.seconds else 0.0
    pace = (
        f"{finished.adapter}: {finished.tokens} tokens, {rate:.1f} tokens/s, "
        f"first after {duration(finished.first_token_seconds)}{', stopped' if finished.stopped else ''}."
    )
    return " ".join(part for part in (pace if finished.tokens else "", finished.note) if part)


def _aside(line: str) -> None:
    if line:
        print(on_one_line(line), file=sys.stderr)
