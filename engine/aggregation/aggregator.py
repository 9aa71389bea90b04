"""One round's aggregation, from updates to the next global adapter and the record of how it came about."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from engine.aggregation import robust
from engine.aggregation.agent import Agent, Choice, too_long
from engine.aggregation.combine import Combined, Ranks, combine
from engine.aggregation.evidence import TRAINING_WORK, Bench, Judges
from engine.aggregation.explain import explain
from engine.aggregation.fedlaw import learn
from engine.aggregation.memory import Memory
from engine.aggregation.products import ProductSum
from engine.aggregation.server_optimizer import server_step
from engine.aggregation.weighting import RULES, Situation, Weights, samples
from engine.aggregation_messages import Aggregated, HospitalWeight, JudgingCost, SliceUse, Standing
from engine.errors import RunError
from engine.federated.update import Lost, Update
from engine.model.adapters import Adapter
from engine.settings import RunConfig

REMEMBERED_ROUNDS = 3
SHORT = 3
"""Sentences in the one-line reason."""
COORDINATES = {"median": robust.median, "trimmed_mean": robust.trimmed_mean}
ROBUST = {"krum": robust.krum, "geometric_median": robust.geometric_median}


@dataclass(frozen=True)
class Round:
    """What the hospitals sent in one round."""

    number: int
    start: Adapter
    updates: Sequence[Update]
    """Those that can be used, sorted by hospital."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Hospitals without such an update, with the reason."""


@dataclass(frozen=True)
class Aggregation:
    """The result: the next global adapter, what to remember, and what to tell."""

    adapter: Adapter
    weights: Weights
    memory: Memory
    moments: dict[str, Adapter]
    """The server optimizer's memory."""
    event: Aggregated
    lost: tuple[Lost, ...] = ()
    """Voters that gave no usable verdict when they were asked."""


class Aggregator:
    """Turns updates into the next global adapter, by the settings' rules.

    Args:
        judges: who evaluates candidates.
        public: name of the public pairs, where the coordinator itself evaluates; else empty.
    """

    def __init__(self, config: RunConfig, judges: Judges, public: str = "") -> None:
        self._config = config
        self._rules = config.aggregation
        self._judges = judges if self._rules.trust != "fixed" else None
        self._public = public

    def aggregate(self, given: Round, memory: Memory, moments: dict[str, Adapter]) -> Generator[None, None, Aggregation]:
        """Decide and combine. Yields whenever something else may run. Raises RunError when no update can be used."""
        whole = Situation(given.number, given.start, given.updates)
        gated = self._gate(given, whole)
        situation = whole.only([name for name in whole.names if name not in gated])
        bench = self._bench(situation)
        choice = yield from self._choose(situation, _everyone(given), bench, memory)
        weights, combined = self._combine(situation, choice)
        adapter, moments = server_step(
            self._rules.server_optimizer, self._rules.server_learning_rate, given.start, combined.adapter, moments
        )
        faults = _faults(memory, given, {*gated, *choice.suspects})
        total = sum(weights.values())
        event = Aggregated(
            round=given.number,
            weighting=self._rules.weighting,
            combine=self._combine_name,
            weights=_standings(given, whole, gated, choice, weights, faults),
            reason="",
            scale=total,
            combine_error=combined.error,
            server_optimizer=self._rules.server_optimizer,
            trust=self._rules.trust,
            verdict=choice.verdict,
            shrink=choice.shrink,
            transfer=choice.transfer,
            candidates=choice.candidates,
            slices=_slices(bench, choice),
            cost=self._cost(bench, given),
        )
        reasons = explain(event)
        event = msgspec.structs.replace(event, reasons=reasons, reason=" ".join(reason.text for reason in reasons[:SHORT]))
        remembered = Memory(evidence=choice.evidence, last=choice.weights, faults=faults)
        return Aggregation(adapter, weights, remembered, moments, event, tuple(bench.lost) if bench else ())

    # --- deciding --------------------------------------------------------------------------------------------------------------

    def _gate(self, given: Round, whole: Situation) -> dict[str, str]:
        """Who is left out before anything is tried, and why."""
        gated = dict(given.left_out)
        if not given.updates:
            names = ", ".join(gated)
            raise RunError(
                "no hospital returned a usable update.",
                where=f"round {given.number}: {names}",
                hint="Lower training.learning_rate.",
            )
        if self._rules.weighting == "agent" and self._judges is not None:
            gated |= too_long(whole)
        return gated

    def _bench(self, situation: Situation) -> Bench | None:
        if self._judges is None or self._rules.weighting not in ("agent", "fedlaw"):
            return None
        work = {update.hospital: self._rules.evaluation_share * TRAINING_WORK * update.tokens for update in situation.updates}
        return Bench(self._judges, situation, {self._public: sum(work.values())} if self._public else work)

    def _choose(
        self, situation: Situation, everyone: Sequence[str], bench: Bench | None, memory: Memory
    ) -> Generator[None, None, Choice]:
        name = self._rules.weighting
        if name in RULES:
            return Choice(RULES[name](situation), "rule")
        if name in ROBUST:
            return Choice(ROBUST[name](situation), "rule")
        if name in COORDINATES:
            return Choice(COORDINATES[name](situation).weights, "rule")
        if bench is None:
            return Choice(samples(situation), "fixed")
        if name == "fedlaw":
            return Choice((yield from learn(bench)), "rule")
        least = 1 if self._public else 2
        agent = Agent(situation, everyone, bench, memory, least_voters=least, seed=self._config.seed + situation.round)
        return (yield from agent.decide())

    # --- combining -------------------------------------------------------------------------------------------------------------

    def _combine(self, situation: Situation, choice: Choice) -> tuple[Weights, Combined]:
        """The weights as they are used, and what they give."""
        weights = {name: self._rules.scale * weight for name, weight in choice.weights.items()}
        if self._rules.norm_clip:  # settings refuse it together with the rules by coordinates
            weights = robust.clipped(situation.only(list(weights)), weights, self._rules.norm_clip)
        used = [update for update in situation.updates if update.hospital in weights]
        adapters, vector = [update.adapter for update in used], [weights[update.hospital] for update in used]
        if self._rules.weighting in COORDINATES:
            return weights, self._by_coordinates(situation, adapters, vector)
        ranks = Ranks(self._config.lora.rank, self._rules.stacked_rank)
        return weights, combine(self._rules.combine, situation.start, adapters, vector, ranks)

    def _by_coordinates(self, situation: Situation, adapters: Sequence[Adapter], vector: Sequence[float]) -> Combined:
        """The number-by-number rule's adapter, moved from the start by `scale`; its error against the products it stands for."""
        exact, scale = ProductSum(), self._rules.scale
        exact.add(situation.start, 1 - sum(vector))
        for adapter, weight in zip(adapters, vector, strict=True):
            exact.add(adapter, weight)
        middle = COORDINATES[self._rules.weighting](situation).adapter
        adapter = {name: start + scale * (middle[name] - start) for name, start in situation.start.items()}
        return Combined(adapter, exact.error_of(adapter))

    @property
    def _combine_name(self) -> str:
        return "factors" if self._rules.weighting in COORDINATES else self._rules.combine

    def _cost(self, bench: Bench | None, given: Round) -> JudgingCost | None:
        if bench is None:
            return None
        return JudgingCost(
            work=sum(bench.spent.values()),
            training_work=sum(TRAINING_WORK * update.tokens for update in given.updates),
            limit=self._rules.evaluation_share,
            seconds=bench.seconds,
        )


def _faults(memory: Memory, given: Round, bad: set[str]) -> dict[str, tuple[int, ...]]:
    """Rounds among the last three, this one included, in which each hospital did not count."""
    recent = range(given.number - REMEMBERED_ROUNDS + 1, given.number + 1)
    everyone = sorted({*_everyone(given), *memory.faults})  # those who rest are not forgiven
    faults = {name: (*memory.faults.get(name, ()), *((given.number,) if name in bad else ())) for name in everyone}
    return {name: kept for name, rounds in faults.items() if (kept := tuple(one for one in rounds if one in recent))}


def _standings(
    given: Round, whole: Situation, gated: dict[str, str], choice: Choice, weights: Weights, faults: dict[str, tuple[int, ...]]
) -> tuple[HospitalWeight, ...]:
    """Every hospital's line of the record."""
    compare = whole.outline
    sent = {update.hospital: update for update in given.updates}
    lengths = dict(zip(sent, compare.lengths, strict=True))
    cosines = dict(zip(sent, compare.cosines, strict=True))
    pairs, total = sum(update.pairs for update in given.updates), sum(weights.values())

    def line(name: str) -> HospitalWeight:
        standing: Standing = "gated" if name in gated else "suspect" if name in choice.suspects else "counted"
        own = sent[name].pairs if name in sent else 0
        return HospitalWeight(
            hospital=name,
            pairs=own,
            sample_share=own / pairs,
            weight=weights.get(name, 0.0) / total if total else 0.0,
            standing=standing,
            why=gated.get(name, ""),
            norm=lengths.get(name, 0.0),
            cosine=cosines.get(name, 0.0),
            suspect_rounds=faults.get(name, ()),
        )

    return tuple(line(name) for name in _everyone(given))


def _everyone(given: Round) -> list[str]:
    """All hospitals of the round, those without an update too."""
    return sorted([*(update.hospital for update in given.updates), *given.left_out])


def _slices(bench: Bench | None, choice: Choice) -> tuple[SliceUse, ...]:
    if bench is None:
        return ()
    return tuple(
        SliceUse(
            voter=voter,
            screen_pairs=used.get("screen", 0),
            test_pairs=used.get("test", 0),
            voted=voter in choice.voters or choice.verdict == "rule",
        )
        for voter, used in sorted(bench.pairs.items())
    )
