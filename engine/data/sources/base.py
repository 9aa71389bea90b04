"""What every kind of source gives: numbered rows, good or bad, and how far through it the reading has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.data.pairs import Pair

MAX_LINE = 8 * 1024 * 1024
"""Characters in one line, record or document; a longer one is refused without being read into memory."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record. `number` is its line, row or document, from 1; `done` counts towards the source's `total`."""

    number: int
    record: Mapping[str, Any]
    done: int = 0


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that cannot be read, and why. `field` is empty when it is the row as a whole."""

    number: int
    reason: str
    field: str = ""
    done: int = 0


@dataclass(frozen=True, slots=True)
class Dropped:
    """A sound record that the source's own rules leave out."""

    reason: str
    done: int = 0


Rows = Iterator[Row | BadRow | Dropped]
Select = Callable[[Sequence[Pair], int], list[Pair]]
"""Which of a hospital's pairs to keep when fewer are wanted."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Something to import from. Opening one reads just enough to know what it is."""

    kind: str
    """In words, for people."""
    name: str
    """For the manifest: no folder of this machine in it."""
    rows: Callable[[], Rows]
    """A fresh pass over the rows. Raises DataError when the source as a whole breaks off."""
    digest: Callable[[], str]
    """SHA-256 of its content; empty when there is no such thing."""
    fields: tuple[str, ...] = ()
    """Names of the records' fields, where the kind of source fixes them."""
    total: int = 0
    """What `done` of the last row will be, in any unit; 0 when unknown."""
    licence: str = ""
    selection: Mapping[str, Select] = field(default_factory=dict)
    """Hospitals whose pairs are not selected by the usual rule."""
    path: Path | None = None
