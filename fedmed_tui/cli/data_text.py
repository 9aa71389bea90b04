"""What the data commands print: the engine's findings as plain tables. Text of files is printed without control characters."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from engine.plain_text import on_one_line, printable
from engine.protocol import (
    AnyEvent,
    DataReported,
    HospitalsCompared,
    ImportFinished,
    OverlapMeasured,
    PairsPage,
    PartitionDescribed,
    PhiScanned,
    RejectsFound,
    SketchesWritten,
    SourcePreviewed,
)
from fedmed_tui.splits import untested
from fedmed_tui.units import duration

UNKNOWN = "not stated"


def print_events(events: Sequence[AnyEvent]) -> None:
    """Print what a finished job said: one table for all hospitals, then everything else in order."""
    partitions = [event for event in events if isinstance(event, PartitionDescribed)]
    if partitions:
        _print_partitions(partitions)
    scans = [event for event in events if isinstance(event, PhiScanned)]
    if scans:
        _print_phi(scans)
    for event in events:
        match event:
            case ImportFinished():
                _print_import(event)
            case HospitalsCompared():
                _print_comparison(event)
            case OverlapMeasured():
                _print_overlap(event)
            case SketchesWritten():
                _say(f"Sketched {event.pairs:,} pairs of {event.hospital}: {event.file}")
            case DataReported():
                _say(f"Data sheet: {event.markdown} and {event.json}")
            case PairsPage():
                _print_pairs(event)


def print_preview(event: SourcePreviewed) -> None:
    """What the source looks like and how it would be read."""
    _say(f"{event.source}: {event.kind}; {event.usable} of the first {event.rows} rows can be used.")
    mapping: Mapping[str, str] = msgspec.structs.asdict(event.mapping)
    roles = {**mapping, "hospital": event.hospital_field}
    _print_table(["meaning", "field"], [[role, field or "—"] for role, field in roles.items()])
    for example in event.examples[:1]:
        _say(f"For example: {_shortened(example.question, 100)}")
        _say(f"→ {_shortened(example.answer, 100)}", indent=" " * 10)


def print_rejects(event: RejectsFound) -> None:
    """Which rows cannot be used, and where they are listed."""
    _say(f"{event.rejected:,} of {event.rows:,} rows cannot be used; they are listed in {event.file}.")
    _print_table(["rows", "reason"], [[f"{count:,}", reason] for reason, count in event.reasons.items()])


def _print_partitions(partitions: Sequence[PartitionDescribed]) -> None:
    rows = [
        [one.hospital, *_counts(one.pairs, one.train, one.validation, one.test, one.topics, one.tokens)] for one in partitions
    ]
    _print_table(["hospital", "pairs", "train", "validation", "test", "topics", "tokens"], rows)
    for origin in sorted({f"Source: {one.source}. Licence: {one.licence or UNKNOWN}." for one in partitions if one.source}):
        _say(origin)
    if missing := untested(partitions):
        _say(missing)


def _print_import(event: ImportFinished) -> None:
    _say(f"Imported {event.kept:,} pairs of {event.rows:,} rows ({event.kind}) into {event.target} in {duration(event.seconds)}.")
    fields = {role: field for role, field in msgspec.structs.asdict(event.mapping).items() if field}
    if event.hospital_field:
        fields["hospital"] = event.hospital_field
    _say(f"Fields: {', '.join(f'{role} from {field}' for role, field in fields.items())}.")
    for title, counts in (
        ("Left out", event.dropped),
        ("Cannot be used", {"see rejects.jsonl": event.rejected} if event.rejected else {}),
        ("Cleaned", event.cleaned),
        ("Replaced", event.deidentified),
    ):
        if counts:
            _say(f"{title}: {', '.join(f'{reason} {count:,}' for reason, count in counts.items())}.")


def _print_comparison(event: HospitalsCompared) -> None:
    if event.total_hospitals < 2:
        return
    names = [one.hospital for one in event.hospitals]
    if event.topic_divergence is None:
        print()
        _say("The pairs name no topic: how different the hospitals' topics are cannot be told.")
    else:
        print()
        _say(f"How much a topic says about its hospital: {event.topic_divergence:.3f} (0 nothing, 1 everything).")
        _say("Distance between topic distributions (Jensen-Shannon, 0 the same, 1 nothing in common):")
        _print_matrix(names, event.topic_distance)
    _say("Vocabulary in common (Jaccard, 1 the same words):")
    _print_matrix(names, event.vocabulary_overlap)
    _say("Words per answer, by percentile:")
    rows = [[one.hospital, *_counts(*one.answer_words)] for one in event.hospitals]
    _print_table(["hospital", "5 %", "25 %", "50 %", "75 %", "95 %"], rows)


def _print_overlap(event: OverlapMeasured) -> None:
    pairs = sum(event.pairs.values())
    _say(f"Compared {pairs:,} pairs at similarity {event.threshold:g} in {duration(event.seconds)}.")
    if event.cells:
        rows = [[cell.hospital, cell.other, *_counts(cell.exact, cell.near)] for cell in event.cells]
        _print_table(["pairs of", "also at", "exact", "near"], rows)
    else:
        _say("No pair has a copy.")
    _say("Held-out pairs that come back in training pairs:")
    rows = [[one.hospital, *_counts(one.held_out, one.own, one.others)] for one in event.leaks]
    _print_table(["hospital", "held out", "its own training", "others' training"], rows)
    for near in event.examples[:10]:
        _say(f"{near.hospital}: {near.first} ~ {near.second} ({near.similarity:.2f})", indent="  ")


def _print_phi(scans: Sequence[PhiScanned]) -> None:
    kinds = sorted({kind for one in scans for kind in one.findings})
    rows = [[one.hospital, *_counts(one.pairs, one.affected, *(one.findings.get(kind, 0) for kind in kinds))] for one in scans]
    _print_table(["hospital", "pairs", "affected", *kinds], rows)
    for one in scans:
        for finding in one.examples[:8]:
            _say(f"{one.hospital}: {finding.pair} {finding.field}: {finding.kind} {finding.masked}", indent="  ")
    if not all(one.names for one in scans):
        _say("Names were looked for by title and cue only: in the checkout, `pip install -e '.[phi]'` adds a name model.")
    _say("A scan can miss things and can be wrong. `fedmed-tui data import … --deidentify` replaces what it finds.")


def _print_pairs(event: PairsPage) -> None:
    for pair in event.pairs:
        _say(f"[{pair.split}] {pair.topic} · {pair.kind}")
        for mark, text in (("Q", pair.question), ("A", pair.answer)):
            print(f"{mark}: " + printable(text).replace("\n", "\n   "))  # no line of it can pass for another pair
        print()
    _say(f"{len(event.pairs)} of {event.matches:,} matching pairs, {event.total:,} in all.")


def _print_matrix(names: Sequence[str], values: Sequence[Sequence[float]]) -> None:
    rows = [[name, *(f"{value:.2f}" for value in row)] for name, row in zip(names, values, strict=True)]
    _print_table(["", *names], rows)


def _print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as their longest cell; words to the left, numbers to the right."""
    titles, cells = list(map(on_one_line, header)), [list(map(on_one_line, row)) for row in rows]
    widths = [max(len(row[at]) for row in [titles, *cells]) for at in range(len(titles))]
    is_number = [bool(cells) and all(row[at][:1].isdigit() for row in cells) for at in range(len(titles))]
    for row in [titles, *cells]:
        columns = zip(row, widths, is_number, strict=True)
        line = (cell.rjust(width) if number else cell.ljust(width) for cell, width, number in columns)
        print("  " + "  ".join(line).rstrip())


def _counts(*values: int) -> list[str]:
    return [f"{value:,}" for value in values]


def _shortened(text: str, width: int) -> str:
    limit = min(width, shutil.get_terminal_size().columns - 16)
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _say(text: str, *, indent: str = "") -> None:
    """One line, whatever is in it."""
    print(indent + on_one_line(text))
