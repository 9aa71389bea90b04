"""Small tools of the data tests: run a job to its end, write a source, read back what was imported."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from engine import locations
from engine.data.importing import import_data
from engine.data.pairs import Pair
from engine.data.partition import find_partitions, read_all
from engine.protocol import AnyEvent, ImportData, ImportFinished, SourceOptions

T = TypeVar("T", bound=AnyEvent)
ANSWER = "Rest, drink enough, and ask for help when it gets worse."


def events(job: Iterator[AnyEvent | None]) -> list[AnyEvent]:
    """Everything a job states, to its end."""
    return [event for event in job if event is not None]


def last(job: Iterator[AnyEvent | None], kind: type[T]) -> T:
    """The last event of a kind that a job states."""
    return [event for event in events(job) if isinstance(event, kind)][-1]


def run_import(source: Path | str, *, hospital: str = "A", **options: Any) -> ImportFinished:
    """Import a source as one hospital into `data/processed`."""
    command = ImportData(job="import", source=str(source), hospital=hospital, options=SourceOptions(**options))
    return last(import_data(command), ImportFinished)


def imported(folder: str = "data/processed") -> list[Pair]:
    """Every pair that lies in a folder, hospital after hospital."""
    path = locations.data_folder(folder)
    return list(read_all(find_partitions(path)))


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    """Plain records, each of a topic of its own."""
    return [
        {"question": f"What helps against ailment {at}?", "answer": ANSWER, "topic": f"ailment {at}", **more}
        for at in range(count)
    ]


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """One record a line."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def write_csv(path: Path, records: list[dict[str, Any]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """A table with a header line."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(records[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(records)
    return path


def make_pairs(count: int, topics: int, hospital: str = "") -> list[Pair]:
    """Pairs dealt over topics in turn."""
    return [
        Pair(
            id=f"{hospital}{at}",
            question=f"Question {at}?",
            answer=f"Answer {at} about topic {at % topics}.",
            topic=f"topic {at % topics}",
            kind="",
            hospital=hospital,
            split="",
        )
        for at in range(count)
    ]
