"""What the choice of weights is worth on TEST pairs: every weighting on the run's last updates, some on complete runs.

On the same updates only the aggregation differs; on complete runs its effect adds up over the rounds, and seeds show how much
of it is chance. Seeds are the run's own and the numbers after it; weightings share their pairs, batches and first round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import get_args

from msgspec.structs import replace

from engine.aggregation.aggregator import Round
from engine.aggregation.assignment import assignment
from engine.aggregation.memory import Memory
from engine.aggregation_messages import Aggregated
from engine.benchmark import recorded
from engine.benchmark.federation import FirstRound, federate
from engine.benchmark.results import Aggregation, FullRuns, SameUpdates
from engine.benchmark.statistics import interval
from engine.benchmark.suite import FORWARD, Item, Measuring, NotMeasured, Subject, Tick
from engine.errors import SettingsError
from engine.federated.checkpoint import adapter_folder, read_round
from engine.federated.transport import InProcess
from engine.federated.update import Update
from engine.jobs.run import aggregator_for
from engine.model.adapters import Adapter, load_adapter
from engine.settings import RunConfig, Weighting, contradictions

REFERENCE: Weighting = "samples"
"""What gains are told against. No settings forbid it."""
EVERY: tuple[Weighting, ...] = get_args(Weighting)
SAME = "every weighting on the last updates"


def items(subject: Subject) -> list[Item]:
    """See `measure`."""
    if subject.request.quick:
        return [Item("reading the record", 0.0)]
    examination, rounds = subject.examination_work, subject.config.training.rounds
    judging = FORWARD * subject.config.aggregation.evaluation_share * subject.run_work
    found = [Item(SAME, len(_allowed(subject.config)) * examination + 2 * judging / rounds)]
    for seed in _seeds(subject):
        for number, weighting in enumerate(_compared(subject)):
            rounds_share = 1.0 if number == 0 else (rounds - 1) / rounds
            judged = judging if weighting in ("agent", "fedlaw") else 0.0
            found.append(Item(_named(weighting, seed), rounds_share * subject.run_work + judged + examination))
    return found


def measure(subject: Subject) -> Measuring[Aggregation]:
    """The record's weights, and in a full benchmark both comparisons.

    Raises:
        DataError, ModelError, RunError: data, adapters or checkpoints of the run cannot be read any more.
        NotMeasured: no hospital has test pairs, or the record holds no aggregation.
    """
    section = recorded.aggregation(subject.record)
    if section is None:
        raise NotMeasured("the record of the run holds no aggregation.", where=subject.request.run)
    if subject.request.quick:
        yield None
        return section
    same = yield from _same_updates(subject)
    full = yield from _full_runs(subject)
    seeds, left_out = tuple(_seeds(subject)), _forbidden(subject.config)
    return replace(section, same_updates=tuple(same), full_runs=tuple(full), seeds=seeds, left_out=left_out)


# --- the same updates ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _LastRound:
    """What came back in the run's last finished round, and what the aggregator had in mind."""

    given: Round
    memory: Memory
    carried: dict[str, Adapter]


def _same_updates(subject: Subject) -> Measuring[list[SameUpdates]]:
    """Every weighting that these settings allow; those that they forbid are left out."""
    last, rows, allowed = _last_round(subject), [], _allowed(subject.config)
    for number, weighting in enumerate(allowed):
        yield Tick(SAME, number / len(allowed))
        rows.append((yield from _one_weighting(subject, last, weighting)))
    return rows


def _one_weighting(subject: Subject, last: _LastRound, weighting: Weighting) -> Measuring[SameUpdates]:
    config = with_weighting(subject.config, weighting)
    aggregator = aggregator_for(config, InProcess(subject.hospitals), subject.bank)
    result = yield from aggregator.aggregate(last.given, last.memory, last.carried)
    losses = yield from subject.test_losses(result.adapter)
    return SameUpdates(
        weighting=weighting,
        weights=_shares(result.event),
        scale=result.event.scale,
        losses=losses,
        macro=fmean(losses.values()),
        worst=max(losses.values()),
    )


def _last_round(subject: Subject) -> _LastRound:
    """Raises RunError or ModelError when a checkpoint or an update is missing or damaged."""
    number, bank, config = subject.record.completed, subject.bank, subject.config
    adapter, memory, carried = bank.initial(config.seed), Memory(), dict[str, Adapter]()
    if number > 1:
        before = read_round(subject.path / "rounds" / f"{number - 1:03d}")
        adapter, memory, carried = before.adapter, before.state.memory, before.carried
    updates = []
    for name, told in sorted(subject.record.updates[number].items()):
        tensors = load_adapter(adapter_folder(subject.path, name))[1]
        updates.append(Update(name, tensors, told.pairs, told.steps, told.loss, told.variance, told.tokens, told.seconds, number))
    start = assignment(config, number, adapter, carried, bank.initial).start
    return _LastRound(Round(number, start, updates), memory, carried)


# --- complete runs -------------------------------------------------------------------------------------------------------------


@dataclass
class _Seeds:
    """One weighting's figures, seed by seed."""

    macro: list[float] = field(default_factory=list)
    worst: list[float] = field(default_factory=list)
    weights: list[dict[str, float]] = field(default_factory=list)


def _full_runs(subject: Subject) -> Measuring[list[FullRuns]]:
    found = {weighting: _Seeds() for weighting in _compared(subject)}
    for seed in _seeds(subject):
        config = replace(subject.config, seed=seed)
        hospitals, first = subject.hospitals_for(config), FirstRound()
        for weighting, at in found.items():
            item = _named(weighting, seed)
            ended = yield from federate(with_weighting(config, weighting), subject.bank, hospitals, first, item)
            losses = yield from subject.test_losses(ended.adapter)
            at.macro.append(fmean(losses.values()))
            at.worst.append(max(losses.values()))
            at.weights.append(_shares(ended.last))
    return [_summary(weighting, at, found[REFERENCE]) for weighting, at in found.items()]


def _summary(weighting: str, at: _Seeds, reference: _Seeds) -> FullRuns:
    names = sorted({name for weights in at.weights for name in weights})  # with part of the hospitals, others in each seed
    return FullRuns(
        weighting=weighting,
        macro=interval(at.macro),
        worst=interval(at.worst),
        gain=interval([(theirs - ours) / theirs for ours, theirs in zip(at.macro, reference.macro, strict=True)]),
        weights={name: fmean(weights.get(name, 0.0) for weights in at.weights) for name in names},
    )


def _compared(subject: Subject) -> list[Weighting]:
    """What complete runs are made with, as far as the settings allow: the reference, what was asked for, and the run's own."""
    asked = (REFERENCE, *subject.request.weightings, subject.config.aggregation.weighting)
    unknown = sorted(set(asked) - set(EVERY))
    if unknown:
        raise SettingsError(
            f"there is no weighting '{unknown[0]}'.", where="--weightings", hint=f"Choose of: {', '.join(EVERY)}."
        )
    return [weighting for weighting in _allowed(subject.config) if weighting in asked]


def _allowed(config: RunConfig) -> list[Weighting]:
    """Weightings that go with the run's other settings."""
    forbidden = _forbidden(config)
    return [weighting for weighting in EVERY if weighting not in forbidden]


def _forbidden(config: RunConfig) -> dict[str, str]:
    """The other weightings, each with the first reason."""
    found = {weighting: next(contradictions(with_weighting(config, weighting)), None) for weighting in EVERY}
    return {weighting: error.message for weighting, error in found.items() if error is not None}


def _seeds(subject: Subject) -> Sequence[int]:
    return range(subject.config.seed, subject.config.seed + subject.request.seeds)


def with_weighting(config: RunConfig, weighting: Weighting) -> RunConfig:
    """The same run with other weights."""
    return replace(config, aggregation=replace(config.aggregation, weighting=weighting))


def _named(weighting: str, seed: int) -> str:
    return f"complete run, {weighting}, seed {seed}"


def _shares(event: Aggregated) -> dict[str, float]:
    return {weight.hospital: weight.weight for weight in event.weights}
