"""From a source to pairs: map each row, note what cannot be used, and never stop for one bad row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from engine.data.mapping import Misfit, check_mapping, guess, guess_hospital_field, hospital_name, to_pair
from engine.data.pairs import Pair
from engine.data.sources import open_source
from engine.data.sources.base import BadRow, Dropped, Row, Source
from engine.data.strategies import MAX_HOSPITALS
from engine.errors import DataError
from engine.protocol import FieldMapping, PairExample, PreviewSource, Progress, Reject, SourceOptions, SourcePreviewed

LOOK_AHEAD = 200
"""Rows whose field names are gathered before the mapping is settled."""
PROGRESS_EVERY = 250
MAX_REJECTED = 0.05
PREVIEW_PAIRS = 5


@dataclass
class Reading:
    """What came out of a source. Pairs have unique ids; their hospital is a name, or empty when no field says it."""

    source: Source
    mapping: FieldMapping
    hospital_field: str
    pairs: list[Pair] = field(default_factory=list)
    rows: int = 0
    rejects: list[Reject] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    cleaned: Counter[str] = field(default_factory=Counter)

    @property
    def too_many_rejects(self) -> bool:
        """More than 5 % of the rows."""
        return len(self.rejects) > MAX_REJECTED * self.rows

    def take(self, row: Row | BadRow | Dropped) -> None:
        """Count one row, and keep its pair when it is one."""
        self.rows += 1
        match row:
            case BadRow():
                self.rejects.append(Reject(line=row.number, field=row.field, reason=row.reason))
            case Dropped():
                self.dropped[row.reason] += 1
            case Row():
                try:
                    self.pairs.append(to_pair(row.record, self.mapping, self.hospital_field, self.cleaned))
                except Misfit as error:
                    self.rejects.append(Reject(line=row.number, field=error.field, reason=error.reason))


def preview(command: PreviewSource) -> Generator[SourcePreviewed, None, None]:
    """What a source looks like, from its first rows. Raises DataError as `open_source` does."""
    source = open_source(command.source, command.options.encoding)
    head = list(islice((row for row in source.rows() if not isinstance(row, Dropped)), LOOK_AHEAD))
    fields = _fields(source, head)
    mapping, hospital_field = guess(fields, command.options.mapping), guess_hospital_field(fields)
    reading = Reading(source, mapping, hospital_field)
    if mapping.question and mapping.answer:
        for row in head:
            reading.take(row)
    yield SourcePreviewed(
        job=command.job,
        source=command.source,
        kind=source.kind,
        fields=fields,
        mapping=mapping,
        hospital_field=hospital_field,
        hospitals=dict(Counter(pair.hospital for pair in reading.pairs if pair.hospital)),
        rows=len(head),
        usable=len(reading.pairs),
        examples=tuple(
            PairExample(question=pair.question, answer=pair.answer, topic=pair.topic, split=pair.split)
            for pair in reading.pairs[:PREVIEW_PAIRS]
        ),
    )


def read_pairs(
    job: str, place: str, options: SourceOptions, *, hospital_field: str, by_hospital: bool
) -> Generator[Progress | None, None, Reading]:
    """Read a whole source; yields progress and returns the Reading.

    Args:
        hospital_field: the field that names the hospital; empty is a guess.
        by_hospital: the hospital matters; else it is ignored.

    Raises:
        DataError: the source as a whole cannot be read, a named field is not there, or nothing in it is a pair.
    """
    source = open_source(place, options.encoding)
    rows = source.rows()
    head = list(islice(rows, LOOK_AHEAD))
    reading = _settled(source, head, options.mapping, hospital_field, by_hospital)
    for count, row in enumerate(chain(head, rows), start=1):
        reading.take(row)
        if count % PROGRESS_EVERY == 0:
            yield Progress(job=job, what=f"reading {source.name}", done=row.done, total=source.total)
    if not reading.pairs:
        raise DataError("there are no usable pairs in it.", where=place, hint=_first_reason(reading))
    reading.pairs = _unique(_named(reading.pairs, place))
    return reading


def _settled(
    source: Source, head: list[Row | BadRow | Dropped], given: FieldMapping, hospital_field: str, by_hospital: bool
) -> Reading:
    fields = _fields(source, head)
    if not fields:
        reading = Reading(source, given, "")
        for row in head:
            reading.take(row)
        raise DataError("there are no usable pairs in it.", where=source.name, hint=_first_reason(reading))
    mapping = guess(fields, given)
    chosen = hospital_field or guess_hospital_field(fields) if by_hospital else ""
    check_mapping(mapping, chosen, fields, source.name)
    return Reading(source, mapping, chosen)


def _fields(source: Source, head: list[Row | BadRow | Dropped] | list[Row | BadRow]) -> tuple[str, ...]:
    """Every field name of the first rows, in the order of their first appearance."""
    return source.fields or tuple(dict.fromkeys(str(name) for row in head if isinstance(row, Row) for name in row.record))


def _named(pairs: list[Pair], place: str) -> list[Pair]:
    """The pairs with hospital names that can be folders. Raises DataError when two become one, or there are too many."""
    spelled = {pair.hospital for pair in pairs if pair.hospital}
    if len(spelled) > MAX_HOSPITALS:
        raise DataError(
            f"that field has {len(spelled):,} different values, so it does not name hospitals.",
            where=place,
            hint=f"Choose a field with at most {MAX_HOSPITALS:,} values.",
        )
    names: dict[str, str] = {}
    for hospital in sorted(spelled):
        name = hospital_name(hospital)
        if name in names.values():
            raise DataError(f"two hospitals would be called '{name}'.", where=place, hint="Give them clearer names first.")
        names[hospital] = name
    return [replace(pair, hospital=names[pair.hospital]) if pair.hospital else pair for pair in pairs]


def _unique(pairs: list[Pair]) -> list[Pair]:
    """The pairs with an id each: the position where there is none, `~2`, `~3` … on one that came before."""
    seen: Counter[str] = Counter()
    named = []
    for position, pair in enumerate(pairs, start=1):
        name = pair.id or str(position)
        seen[name] += 1
        while seen[name] > 1:
            name = f"{name}~{seen[name]}"
            seen[name] += 1
        named.append(pair if pair.id == name else replace(pair, id=name))
    return named


def _first_reason(reading: Reading) -> str:
    if reading.rejects:
        first = reading.rejects[0]
        return f"For example, line {first.line}: {first.reason}."
    if reading.dropped:
        return f"All were left out, most for this: {reading.dropped.most_common(1)[0][0]}."
    return "It seems to be empty."
