"""What was asked and answered, kept on this machine between sessions: per run and adapter, searchable, exportable as Markdown.

One SQLite file in the working folder, readable by its owner alone: questions may hold what nobody else should read. Nothing of it
reaches a hospital, the coordinator, or a run's folder.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from engine import locations
from engine.errors import RunError
from engine.files import disk_error, write_atomically
from engine.messages import Moment
from engine.plain_text import on_one_line, printable
from engine.protocol import DISCLAIMER
from fedmed_tui.units import duration

FILE = "chat-history.sqlite3"
MAX_TEXT = 2**24
"""Bytes of one question or answer, whoever wrote the file."""
WAIT_SECONDS = 5.0
"""For another window that is writing."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One question to one adapter with its answer. Answers to one comparison share `asked`."""

    run: str
    """Empty for the base model without a run."""
    adapter: str
    asked: Moment
    """Unix time."""
    question: str
    answer: str
    system: str = ""
    """The system prompt, where it was not the usual one."""
    findings: str = ""
    """Titles of the safety rules that applied, one a line."""
    note: str = ""
    tokens: int = 0
    seconds: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    stopped: bool = False


_COLUMNS = ", ".join(field.name for field in fields(Answered))
_TABLE = f"CREATE TABLE IF NOT EXISTS answered ({_COLUMNS})"
_INDEX = "CREATE INDEX IF NOT EXISTS by_conversation ON answered (run, adapter, asked)"
_INSERT = f"INSERT INTO answered ({_COLUMNS}) VALUES ({', '.join('?' * len(fields(Answered)))})"
_SELECT = f"SELECT {_COLUMNS} FROM answered"


class History:
    """The history of a working folder.

    Args:
        path: the file; the working folder's own unless a test says otherwise. It is made by the first `add`.

    Every method raises RunError when the file cannot be read or written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or locations.runs_folder() / FILE

    def add(self, answered: Answered) -> None:
        """Keep one answer."""
        with self._open() as database:
            database.execute(_INSERT, astuple(answered))

    def conversation(self, run: str, adapter: str, limit: int = -1) -> list[Answered]:
        """The latest answers of one adapter of a run (all of them below 0), oldest first."""
        latest = self._read("WHERE run = ? AND adapter = ? ORDER BY asked DESC, rowid DESC LIMIT ?", (run, adapter, limit))
        return latest[::-1]

    def questions(self, limit: int = 200) -> list[str]:
        """The latest different questions to anybody, oldest first: for recall with the up-arrow key."""
        latest = self._read("ORDER BY asked DESC, rowid DESC LIMIT ?", (limit,))
        return list(dict.fromkeys(answered.question for answered in latest))[::-1]

    def search(self, text: str, run: str | None = None, adapter: str | None = None, limit: int = -1) -> list[Answered]:
        """Answers in which every word of `text` stands, in question or answer, newest first.

        Args:
            text: words; empty finds everything.
            run: only this run's.
            adapter: only this adapter's.
            limit: at most so many; all of them below 0.
        """
        conditions, values = ["1"], list[str | int]()
        for word in text.split():
            conditions.append("(question LIKE ? ESCAPE '\\' OR answer LIKE ? ESCAPE '\\')")
            values += [f"%{_literal(word)}%"] * 2
        for column, wanted in (("run", run), ("adapter", adapter)):
            if wanted is not None:
                conditions.append(f"{column} = ?")
                values.append(wanted)
        clause = f"WHERE {' AND '.join(conditions)} ORDER BY asked DESC, rowid DESC LIMIT ?"
        return self._read(clause, (*values, limit))

    def forget(self, run: str, adapter: str) -> None:
        """Remove one conversation for good."""
        with self._open() as database:
            database.execute("DELETE FROM answered WHERE run = ? AND adapter = ?", (run, adapter))

    def _read(self, clause: str, values: tuple[str | int, ...]) -> list[Answered]:
        if not self.path.exists():
            return []
        with self._open() as database:
            rows = database.execute(f"{_SELECT} {clause}", values).fetchall()
        names = [field.name for field in fields(Answered)]
        try:
            return [msgspec.convert(dict(zip(names, row, strict=True)), Answered, strict=False) for row in rows]
        except msgspec.ValidationError as error:
            raise self._unusable(error) from None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            with closing(sqlite3.connect(self.path, timeout=WAIT_SECONDS)) as database, database:
                database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_TEXT)
                database.execute(_TABLE)
                database.execute(_INDEX)
                yield database
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> RunError:
        hint = "Move the file away to begin a new history; check permissions and free space."
        return RunError(f"the chat history cannot be used: {error}.", where=str(self.path), hint=hint)


def export(answers: Iterable[Answered]) -> Path:
    """Write a transcript into the working folder, readable by its owner alone; returns the file. Raises RunError."""
    folder = locations.runs_folder() / "chats"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = _new_file(folder, f"chat-{time.strftime('%Y%m%d-%H%M%S')}")
    except OSError as error:
        raise disk_error(folder, error) from None
    write_atomically(path, as_markdown(answers).encode())
    return path


def _new_file(folder: Path, name: str) -> Path:
    """An empty file of its own, even for two that are written in the same second."""
    path, number = folder / f"{name}.md", 1
    while True:
        try:
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            number += 1
            path = folder / f"{name}-{number}.md"
        else:
            return path


def as_markdown(answers: Iterable[Answered]) -> str:
    """A transcript, oldest first. What people and models wrote is quoted, so it cannot pass for the transcript's own words."""
    parts = ["# Chat transcript", f"*{DISCLAIMER}*"]
    heading = ""
    for one in sorted(answers, key=lambda answered: answered.asked):
        whose = f"## {_one_line(one.adapter)}{f' · run {_one_line(one.run)}' if one.run else ''}"
        if whose != heading:
            parts.append(whose)
            heading = whose
        asked = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.asked))
        parts += [f"**Question** ({asked})", _quoted(one.question), "**Answer**", _quoted(one.answer)]
        parts += [f"*{line}*" for line in _remarks(one)]
    return "\n\n".join(parts) + "\n"


def _remarks(one: Answered) -> Iterator[str]:
    if one.system:
        yield f"System prompt: {_one_line(one.system)}"
    for finding in one.findings.splitlines():
        yield f"Safety: {_one_line(finding)}"
    if one.note:
        yield _one_line(one.note)
    if one.tokens:
        yield f"{one.tokens} tokens in {duration(one.seconds)}{', stopped' if one.stopped else ''}"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in printable(text).strip().splitlines() or [""])


def _one_line(text: str) -> str:
    return on_one_line(text).replace("*", "\\*")


def _literal(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
