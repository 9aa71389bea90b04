"""CSV and its relatives: comma, tab, semicolon or bar, found by trying; the first line names the columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

from engine.data.pairs import HALF_PAIR
from engine.data.sources.base import MAX_LINE, BadRow, Row, Rows, Source
from engine.data.sources.lines import TextFile, open_text
from engine.data.store import file_digest
from engine.errors import DataError

NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
SAMPLE_ROWS = 50

csv.field_size_limit(MAX_LINE)  # the library's own limit of 131,072 is shorter than a long answer


def delimited(path: Path, encoding: str, packed: str) -> Source | None:
    """The file as columns, or None when no delimiter makes at least two columns of its first line."""
    delimiter = _sniff(path, encoding)
    if not delimiter:
        return None
    family = "TSV" if delimiter == "\t" else "CSV"
    return Source(
        kind=f"{family}, separated by {NAMES[delimiter]}{packed}",
        name=path.name,
        rows=partial(_rows, path, encoding, delimiter),
        digest=partial(file_digest, path),
        total=path.stat().st_size,
        path=path,
    )


def _sniff(path: Path, encoding: str) -> str:
    """The delimiter with which most of the first rows have as many columns as the header, then the one with most columns."""
    best, best_score = "", (0.0, 1)
    for delimiter in NAMES:
        sample = _first_rows(path, encoding, delimiter)
        if not sample or len(sample[0]) < 2:
            continue
        alike = sum(len(row) == len(sample[0]) for row in sample) / len(sample)
        best, best_score = max((best, best_score), (delimiter, (alike, len(sample[0]))), key=lambda pair: pair[1])
    return best


def _first_rows(path: Path, encoding: str, delimiter: str) -> list[list[str]]:
    """The first rows as this delimiter divides them, up to one that cannot be read."""
    rows: list[list[str]] = []
    with open_text(path, encoding) as file, suppress(csv.Error):
        lines = (line for line in file.lines() if line is not None)
        for row in islice(csv.reader(lines, delimiter=delimiter), SAMPLE_ROWS):
            rows.append(row)
    return rows


def _rows(path: Path, encoding: str, delimiter: str) -> Rows:
    too_long: list[int] = []
    with open_text(path, encoding) as file:
        reader = csv.reader(_lines(file, too_long), delimiter=delimiter)
        header = [name.strip() for name in next(reader)]
        _check_header(header, path)
        while True:
            start = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield BadRow(start, f"the row cannot be read: {error}", done=file.position)
                continue
            yield from (BadRow(line, f"the line is longer than {MAX_LINE:,} characters", done=file.position) for line in too_long)
            too_long.clear()
            if cells is None:
                return
            if any(cells):
                yield _as_row(start, header, cells, file.position)


def _lines(file: TextFile, too_long: list[int]) -> Iterator[str]:
    """The file's lines; one that is too long is noted, and empty to the parser so that its line count stays right."""
    for number, line in enumerate(file.lines(), start=1):
        if line is None:
            too_long.append(number)
        yield line or "\n"


def _as_row(number: int, header: list[str], cells: list[str], done: int) -> Row | BadRow:
    if len(cells) != len(header):
        return BadRow(number, f"the row has {len(cells)} columns, the header {len(header)}", done=done)
    return Row(number, dict(zip(header, cells, strict=True)), done)


def _check_header(header: list[str], path: Path) -> None:
    if any(HALF_PAIR.search(name) for name in header):
        raise DataError("is not text in that encoding.", where=f"{path}, line 1", hint="Name the right --encoding.")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"two columns are called {twice[0]!r}.", where=f"{path}, line 1", hint="Give each its own name.")
