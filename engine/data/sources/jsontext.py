"""JSON: one object a line, or one array of objects."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from engine.data.sources.base import MAX_LINE, BadRow, Row, Rows, Source
from engine.data.sources.lines import open_text
from engine.data.store import file_digest
from engine.errors import DataError

MAX_ARRAY = 128 * 1024 * 1024
"""Characters of a JSON array: it is read in one piece."""


def json_lines(path: Path, encoding: str, packed: str) -> Source:
    """One JSON object a line."""
    return Source(
        kind=f"JSON lines{packed}",
        name=path.name,
        rows=partial(_line_rows, path, encoding),
        digest=partial(file_digest, path),
        total=path.stat().st_size,
        path=path,
    )


def json_array(path: Path, encoding: str, packed: str) -> Source:
    """One array of JSON objects, read whole."""
    return Source(
        kind=f"JSON array{packed}",
        name=path.name,
        rows=partial(_array_rows, path, encoding),
        digest=partial(file_digest, path),
        path=path,
    )


def _line_rows(path: Path, encoding: str) -> Rows:
    with open_text(path, encoding) as file:
        for number, line in enumerate(file.lines(), start=1):
            if line is None:
                yield BadRow(number, f"the line is longer than {MAX_LINE:,} characters", done=file.position)
            elif line.strip():
                yield _parsed(number, line, file.position)


def _parsed(number: int, line: str, done: int) -> Row | BadRow:
    try:
        return _as_row(number, msgspec.json.decode(line), done)
    except UnicodeEncodeError:
        return BadRow(number, "the line holds bytes that are no text in this encoding", done=done)
    except RecursionError:
        return BadRow(number, "the JSON is nested too deeply", done=done)
    except msgspec.DecodeError as error:
        return BadRow(number, f"the line is not valid JSON: {error}", done=done)


def _array_rows(path: Path, encoding: str) -> Rows:
    with open_text(path, encoding) as file:
        text = file.read(MAX_ARRAY + 1)
    if len(text) > MAX_ARRAY:
        raise DataError(
            f"a JSON array of more than {MAX_ARRAY // 1024**2} MiB is not read in one piece.",
            where=str(path),
            hint="Save it as JSON lines: one object a line.",
        )
    try:
        items = msgspec.json.decode(text, type=list[Any])
    except UnicodeEncodeError:
        raise DataError("holds bytes that are no text.", where=str(path), hint="Name the right --encoding.") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise DataError(f"is not a valid JSON array: {error}.", where=str(path), hint="Mend it, or use JSON lines.") from None
    yield from (_as_row(number, item, number) for number, item in enumerate(items, start=1))


def _as_row(number: int, value: object, done: int) -> Row | BadRow:
    if isinstance(value, dict):
        return Row(number, value, done)
    return BadRow(number, "it is not a JSON object with named fields", done=done)
