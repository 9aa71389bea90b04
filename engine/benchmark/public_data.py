"""Public sets for evaluation, which are not part of this project: where they lie and how they are read.

What each of them holds and where it comes from is told in `benchmarks/README.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from engine import locations
from engine.benchmark.suite import NotMeasured
from engine.data.sources.lines import open_text
from engine.errors import DataError

T = TypeVar("T")
MAX_CHARACTERS = 2**27
"""Of a set, unpacked: the largest that there is has a fifth of it."""


def read_public(folder: str, name: str, parse: Callable[[dict[str, Any]], T]) -> list[T]:
    """What `parse` makes of each record of a set.

    Args:
        folder: where it is; empty looks in the working folder's `data/public`, then beside the checkout.
        name: without `.jsonl.gz`.

    Raises:
        NotMeasured: it is not there or cannot be read.
    """
    places = [locations.data_folder(folder)] if folder else [locations.home() / "data" / "public", locations.shared_data_folder()]
    file = next((path for place in places if (path := place / f"{name}.jsonl.gz").is_file()), None)
    if file is None:
        where = " or ".join(str(place) for place in places)
        raise NotMeasured(f"{name}.jsonl.gz is not there.", where=where, hint="benchmarks/README.md tells where it comes from.")
    try:
        with open_text(file) as opened:
            text = opened.read(MAX_CHARACTERS + 1)
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"it is longer than {MAX_CHARACTERS:,} characters")
        return [parse(msgspec.json.decode(line)) for line in text.splitlines()]
    except DataError as error:
        raise NotMeasured(error.message, where=error.where, hint=error.hint) from None
    except (ValueError, RecursionError) as error:
        raise NotMeasured(f"cannot be read: {error}.", where=str(file), hint="Get it again.") from None
    except (KeyError, TypeError, AttributeError):
        raise NotMeasured("is another set: its records have other fields.", where=str(file), hint="Get it again.") from None


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` items, evenly spread over the list; 0 is all."""
    if not most or most >= len(items):
        return list(items)
    return [items[at * len(items) // most] for at in range(most)]
