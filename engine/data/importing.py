"""The jobs that write partitions: import a source as it is divided, or share its pairs out by a strategy."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from engine import locations
from engine.data import store
from engine.data.mapping import hospital_name
from engine.data.pairs import RENAME, SPLITS, Pair, name_conflict, topic_counts
from engine.data.partition import summarize
from engine.data.reading import Reading, read_pairs
from engine.data.sources.base import Select
from engine.data.splits import RULE, topic_key, with_splits
from engine.data.strategies import shared_out
from engine.data.tokens import count_tokens
from engine.errors import DataError
from engine.protocol import (
    ImportData,
    ImportFinished,
    PartitionData,
    PartitionDescribed,
    Progress,
    RejectsFound,
    SourceOptions,
)

EXAMPLES = 5
DataEvent = Progress | PartitionDescribed | RejectsFound | ImportFinished | None


def import_data(command: ImportData) -> Iterator[DataEvent]:
    """Write one partition per hospital of the source under `command.target`, replacing what is there.

    Raises:
        DataError: the source cannot be read, more than 5 % of its rows cannot be used, no field names the hospital, or the
            target cannot be written. What was there before stays as it was.
    """
    started = time.monotonic()
    reading = yield from read_pairs(
        command.job,
        command.source,
        command.options,
        hospital_field=command.hospital_field,
        by_hospital=not command.hospital,
    )
    yield from _check_rejects(command, reading)
    if command.hospital:
        reading.pairs = [replace(pair, hospital=hospital_name(command.hospital)) for pair in reading.pairs]
    elif not reading.hospital_field:
        raise DataError(
            "no field says which hospital a pair belongs to.",
            where=command.source,
            hint="Name one with --hospital-field, name the one hospital with --hospital, or use `fedmed-tui data partition`.",
        )
    pairs = _kept(reading.pairs, command.sizes, reading.source.selection, command.source)
    how = f"as given by '{reading.hospital_field}'" if reading.hospital_field else "one hospital"
    yield from _write(command, reading, pairs, how, started)


def partition_data(command: PartitionData) -> Iterator[DataEvent]:
    """Share the pairs of a source out among hospitals and write their partitions under `command.target`.

    Raises:
        DataError: as `import_data`; or the plan does not fit the pairs.
    """
    if command.strategy == "natural":
        same = ImportData(
            job=command.job,
            source=command.source,
            hospital_field=command.field,
            target=command.target,
            options=command.options,
        )
        yield from import_data(same)
        return
    started = time.monotonic()
    reading = yield from read_pairs(command.job, command.source, command.options, hospital_field="", by_hospital=False)
    yield from _check_rejects(command, reading)
    pairs = shared_out(reading.pairs, command)
    how = {
        "dirichlet": f"Dirichlet over topics, alpha {command.alpha:g}",
        "iid": "at random",
        "quantity": "by quantity",
    }[command.strategy]
    yield from _write(command, reading, pairs, f"{how}{', topics kept whole' if command.whole_topics else ''}", started)


def by_topic_order(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """The first `count` pairs, topic by topic in the order of the topic's hash; the last topic is cut."""
    order = sorted(pairs, key=lambda pair: sha256(f"silo{pair.hospital}:{topic_key(pair)}".encode()).hexdigest())
    return order[:count]


def _kept(pairs: list[Pair], sizes: Mapping[str, int], selection: Mapping[str, Select], place: str) -> list[Pair]:
    """The pairs within the sizes asked for, in the order of the source."""
    held = Counter(pair.hospital for pair in pairs)
    for hospital, size in sizes.items():
        if not 0 < size <= held[hospital]:
            raise DataError(
                f"hospital {hospital} has {held[hospital]:,} usable pairs, {size:,} were asked for.",
                where=place,
                hint="Ask for what there is, or leave the size out.",
            )
    kept: set[str] = set()
    for hospital in held:
        own = [pair for pair in pairs if pair.hospital == hospital]
        select = selection.get(hospital, by_topic_order)
        kept.update(pair.id for pair in (select(own, sizes[hospital]) if hospital in sizes else own))
    return [pair for pair in pairs if pair.id in kept]


def _check_rejects(command: ImportData | PartitionData, reading: Reading) -> Iterator[DataEvent]:
    """Say what cannot be used; refuse to go on when it is too much. Raises DataError."""
    if not reading.rejects:
        return
    stops = reading.too_many_rejects and not command.options.allow_rejects
    target = locations.data_folder(command.target)
    beside, inside = target.with_name(f"{target.name}-{store.REJECTS_FILE}"), target / store.REJECTS_FILE
    if stops:
        store.write_rejects(beside, reading.rejects)
    file = beside if stops else inside
    yield RejectsFound(
        job=command.job,
        rejected=len(reading.rejects),
        rows=reading.rows,
        too_many=stops,
        file=str(file),
        reasons=dict(Counter(reject.reason for reject in reading.rejects).most_common(10)),
        examples=tuple(reading.rejects[:10]),
    )
    if stops:
        first = reading.rejects[0]
        raise DataError(
            f"{len(reading.rejects):,} of {reading.rows:,} rows cannot be used (line {first.line}: {first.reason}).",
            where=command.source,
            hint=f"Mend them, or import the rest with --allow-rejects; all are listed in {file}.",
        )


def _write(
    command: ImportData | PartitionData, reading: Reading, pairs: list[Pair], how: str, started: float
) -> Iterator[DataEvent]:
    if conflict := name_conflict(sorted({pair.hospital for pair in pairs})):
        raise DataError(conflict, where=command.source, hint=RENAME)
    found: Counter[str] = Counter()
    if command.options.deidentify:
        from engine.data.phi.scan import deidentified  # its libraries take seconds to load

        pairs = yield from deidentified(command.job, pairs, found)
    target = locations.data_folder(command.target)
    partitions = _by_hospital(with_splits(pairs, command.options.seed))
    digest = reading.source.digest()
    with store.replacing(target) as fresh:
        for done, (hospital, own) in enumerate(partitions.items(), start=1):
            manifest = _manifest(reading, own, command.options, how, digest)
            store.write_partition(fresh / f"{store.PREFIX}{hospital}", own, manifest)
            yield Progress(job=command.job, what="writing partitions", done=done, total=len(partitions))
        if reading.rejects:
            store.write_rejects(fresh / store.REJECTS_FILE, reading.rejects)
    for own in partitions.values():
        yield summarize(command.job, target, own, EXAMPLES)
    yield ImportFinished(
        job=command.job,
        source=command.source,
        kind=reading.source.kind,
        mapping=reading.mapping,
        hospital_field=reading.hospital_field,
        target=str(target),
        rows=reading.rows,
        kept=len(pairs),
        rejected=len(reading.rejects),
        dropped=dict(reading.dropped.most_common()),
        cleaned=dict(reading.cleaned),
        deidentified=dict(found.most_common()),
        hospitals={hospital: len(own) for hospital, own in partitions.items()},
        seconds=time.monotonic() - started,
    )


def _by_hospital(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    partitions: dict[str, list[Pair]] = {name: [] for name in sorted({pair.hospital for pair in pairs})}
    for pair in pairs:
        partitions[pair.hospital].append(pair)
    return partitions


def _manifest(reading: Reading, pairs: Sequence[Pair], options: SourceOptions, how: str, digest: str) -> store.Manifest:
    return store.Manifest(
        hospital=pairs[0].hospital,
        source=reading.source.name,
        source_kind=reading.source.kind,
        source_sha256=digest,
        licence=options.licence or reading.source.licence,
        partition=how,
        deidentified=options.deidentify,
        pairs={split: sum(pair.split == split for pair in pairs) for split in SPLITS},
        topics=len(topic_counts(pairs)),
        tokens=count_tokens(pairs),
        split_rule=RULE,
        seed=options.seed,
    )
