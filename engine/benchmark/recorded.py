"""Sections that a run's record alone fills in, at any moment of the run. No tensor library here."""

from __future__ import annotations

from statistics import fmean, median

from engine.benchmark.record import RunRecord
from engine.benchmark.results import (
    Aggregation,
    HospitalPairs,
    Learning,
    Privacy,
    RoundLosses,
    RoundWeights,
    Speed,
    Spread,
)


def learning(record: RunRecord) -> Learning | None:
    """Validation loss by round; the comparison on test pairs is for the full benchmark."""
    names = {hospital.name for hospital in record.hospitals}
    rounds = tuple(
        RoundLosses(round=number, losses=dict(sorted(losses.items())), macro=fmean(losses.values()))
        for number, losses in sorted(record.losses.items())
        if losses.keys() == names
    )
    return Learning(validation=rounds, test=None) if rounds else None


def aggregation(record: RunRecord) -> Aggregation | None:
    """Who counted how much, round by round."""
    if record.config is None or not record.aggregated:
        return None
    rounds = tuple(
        RoundWeights(
            round=number,
            weights={weight.hospital: weight.weight for weight in event.weights},
            scale=event.scale,
            combine_error=event.combine_error,
            reason=event.reason,
        )
        for number, event in sorted(record.aggregated.items())
    )
    rules = record.config.aggregation
    return Aggregation(weighting=rules.weighting, combine=rules.combine, rounds=rounds)


def privacy(record: RunRecord) -> Privacy | None:
    """Pairs that stayed, and everything that crossed."""
    if not record.hospitals:
        return None
    pairs = tuple(
        HospitalPairs(hospital=one.name, train=one.train, validation=one.validation, test=one.test) for one in record.hospitals
    )
    return Privacy(pairs=pairs, traffic=tuple(row for _, rows in sorted(record.traffic.items()) for row in rows))


def speed(record: RunRecord) -> Speed | None:
    """Tokens a second of each local training, and the time in rounds."""
    later = [update for update in record.trainings if update.round > 1]  # the first round warms everything up
    rates = [update.tokens / update.seconds for update in later or record.trainings if update.seconds]
    return Speed(tokens_per_second=spread(rates), run_seconds=record.seconds) if rates else None


def spread(values: list[float]) -> Spread:
    """Median, smallest and largest of at least one value."""
    return Spread(median=median(values), low=min(values), high=max(values), repeats=len(values))
