"""A hospital's pairs, page by page, for the person who owns them.

The last partition looked at is kept in memory, with its text in lower case, so that each key typed into the filter is one pass
over strings and not one over files.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from engine import locations
from engine.data.pairs import Pair
from engine.data.partition import find_partitions, read_partition
from engine.protocol import BrowsedPair, BrowsePairs, PairsPage

MAX_PAGE = 500


@dataclass(frozen=True)
class _Shelf:
    pairs: list[Pair]
    texts: list[str]
    """What a query is looked for in: question, answer, topic, kind and id, in lower case."""


def browse(command: BrowsePairs) -> Generator[PairsPage, None, None]:
    """One page of the pairs that fit the query. Raises DataError as reading a partition does."""
    folder = locations.data_folder(command.folder)
    shelf = _shelf(folder, command.hospital, _modified(folder, command.hospital))
    matching = _matching(shelf, command.query)
    offset = max(0, command.offset)
    page = matching[offset : offset + max(0, min(command.limit, MAX_PAGE))]
    yield PairsPage(
        job=command.job,
        hospital=command.hospital,
        query=command.query,
        total=len(shelf.pairs),
        matches=len(matching),
        offset=offset,
        pairs=tuple(_browsed(shelf.pairs[at]) for at in page),
    )


@lru_cache(maxsize=1)
def _shelf(folder: Path, hospital: str, modified: float) -> _Shelf:
    """`modified` makes a partition that was written again a different one to the cache."""
    pairs = read_partition(folder, hospital)
    texts = ["\n".join((pair.question, pair.answer, pair.topic, pair.kind, pair.id)).lower() for pair in pairs]
    return _Shelf(pairs, texts)


def _modified(folder: Path, hospital: str) -> float:
    """When the partition was last written; 0 when there is none, which reading it will explain."""
    try:
        return find_partitions(folder)[hospital].stat().st_mtime
    except (OSError, KeyError):
        return 0.0


def _matching(shelf: _Shelf, query: str) -> range | list[int]:
    words = query.lower().split()
    if not words:
        return range(len(shelf.pairs))
    return [at for at, text in enumerate(shelf.texts) if all(word in text for word in words)]


def _browsed(pair: Pair) -> BrowsedPair:
    return BrowsedPair(id=pair.id, question=pair.question, answer=pair.answer, topic=pair.topic, kind=pair.kind, split=pair.split)
