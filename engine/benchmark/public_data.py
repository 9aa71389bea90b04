"""Public sets for evaluation, which are not part of this project: where they lie and how they are read.

What each of them holds and where it comes from is told in `benchmarks/README.md`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from engine import locations
from engine.benchmark.suite import NotMeasured

T = TypeVar("T")


def read_public(folder: str, name: str) -> list[dict[str, Any]]:
    """The records of a set.

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
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    except (OSError, EOFError, ValueError) as error:
        raise NotMeasured(f"cannot be read: {error}.", where=str(file), hint="Get it again.") from None


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` items, evenly spread over the list; 0 is all."""
    if not most or most >= len(items):
        return list(items)
    return [items[at * len(items) // most] for at in range(most)]
