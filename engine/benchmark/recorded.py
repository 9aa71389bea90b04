"""Sections that a run's record alone fills in, at any moment of the run. No tensor library here.

A screen asks again and again while the record grows, and passes what is `Known`: a late round costs no more than an early one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any, TypeVar

from msgspec.structs import replace

from engine.benchmark.record import RunRecord
from engine.benchmark.results import (
    Aggregation,
    Direction,
    HospitalPairs,
    Kind,
    Learning,
    Privacy,
    RoundLosses,
    RoundWeights,
    Speed,
    Spread,
    Traffic,
)
from engine.protocol import Aggregated, UpdateReceived

S = TypeVar("S")
T = TypeVar("T")

EVERYBODY = "all"
"""In place of a hospital's name where hospitals are added up."""


@dataclass
class Known:
    """What the rounds of one record told before. A round that is done again is another object in the record, and is read anew."""

    _told: dict[tuple[str, int], tuple[object, Any]] = field(default_factory=dict)
    _rates: list[float] = field(default_factory=list)
    _rated: dict[int, object] = field(default_factory=dict)

    def told(self, what: str, number: int, source: S, tell: Callable[[int, S], T]) -> T:
        """What `tell` makes of a round's number and `source`, worked out once."""
        before = self._told.get((what, number))
        if before is None or before[0] is not source:
            before = self._told[what, number] = (source, tell(number, source))
        found: T = before[1]
        return found

    def rates(self, rounds: Mapping[int, Mapping[str, UpdateReceived]]) -> Sequence[float]:
        """Tokens a second of every training in these rounds, sorted. A few more in a sorted list are soon sorted too."""
        if any(rounds.get(number) is not source for number, source in self._rated.items()):
            self._rates, self._rated = [], {}
        for number in rounds.keys() - self._rated.keys():
            self._rates += (update.tokens / update.seconds for update in rounds[number].values() if update.seconds)
            self._rated[number] = rounds[number]
        self._rates.sort()
        return self._rates


def learning(record: RunRecord, known: Known | None = None) -> Learning | None:
    """Validation loss by round, of those who were evaluated; the comparison on test pairs is for the full benchmark."""
    known, names = known or Known(), {hospital.name for hospital in record.hospitals}
    begun = max(record.updates, default=0)  # rounds before it are evaluated, the base model too

    def tell(number: int, losses: Mapping[str, float]) -> RoundLosses:
        return _losses(number, losses, record.own_losses.get(number, {}))

    rounds = tuple(
        known.told("losses", number, losses, tell)
        for number, losses in sorted(record.losses.items())
        if losses and (number in record.finished or number < begun or losses.keys() == names)
    )
    return Learning(validation=rounds, test=None) if rounds else None


def aggregation(record: RunRecord, known: Known | None = None) -> Aggregation | None:
    """Who counted how much, round by round."""
    if record.config is None or not record.aggregated:
        return None
    known, rules = known or Known(), record.config.aggregation
    rounds = tuple(known.told("weights", number, event, _weights) for number, event in sorted(record.aggregated.items()))
    return Aggregation(weighting=rules.weighting, combine=rules.combine, rounds=rounds)


def privacy(record: RunRecord) -> Privacy | None:
    """Pairs that stayed, and everything that crossed."""
    return _privacy(record, tuple(row for _, rows in sorted(record.traffic.items()) for row in rows))


def privacy_in_sum(record: RunRecord, known: Known) -> Privacy | None:
    """The same with the traffic of all hospitals added up: row by row, a long run of a large federation has half a million."""
    pages = (known.told("traffic", number, rows, _in_sum) for number, rows in sorted(record.traffic.items()))
    return _privacy(record, tuple(row for rows in pages for row in rows))


def in_sum(section: Privacy) -> Privacy:
    """The section with the traffic of all hospitals added up."""
    return replace(section, traffic=_in_sum(0, section.traffic))


def speed(record: RunRecord, known: Known | None = None) -> Speed | None:
    """Tokens a second of each local training, and the time in rounds."""
    later = [number for number in record.finished if number > 1]  # the first round warms everything up
    rates = (known or Known()).rates({number: record.updates[number] for number in later or record.finished})
    return Speed(tokens_per_second=spread(rates), run_seconds=record.seconds) if rates else None


def spread(values: Sequence[float]) -> Spread:
    """Median, smallest and largest of at least one value."""
    return Spread(median=median(values), low=min(values), high=max(values), repeats=len(values))


def _losses(number: int, losses: Mapping[str, float], own: Mapping[str, float]) -> RoundLosses:
    macro = fmean(losses.values())
    return RoundLosses(round=number, losses=dict(sorted(losses.items())), macro=macro, own=dict(sorted(own.items())))


def _weights(number: int, event: Aggregated) -> RoundWeights:
    return RoundWeights(
        round=number,
        weights={weight.hospital: weight.weight for weight in event.weights},
        scale=event.scale,
        combine_error=event.combine_error,
        reason=event.reason,
    )


def _privacy(record: RunRecord, traffic: tuple[Traffic, ...]) -> Privacy | None:
    if not record.hospitals:
        return None
    pairs = tuple(
        HospitalPairs(hospital=one.name, train=one.train, validation=one.validation, test=one.test) for one in record.hospitals
    )
    return Privacy(pairs=pairs, traffic=traffic)


def _in_sum(_number: int, rows: Sequence[Traffic]) -> tuple[Traffic, ...]:
    """One page of the ledger. A row says itself which round it is of: the first page has the base model's evaluation too."""
    values, sizes = Counter[tuple[int, Direction, Kind]](), Counter[tuple[int, Direction, Kind]]()
    for row in rows:
        key = (row.round, row.direction, row.kind)
        values[key] += row.values
        sizes[key] += row.bytes
    return tuple(
        Traffic(round=key[0], hospital=EVERYBODY, direction=key[1], kind=key[2], values=values[key], bytes=sizes[key])
        for key in values
    )
