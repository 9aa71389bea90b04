"""The agent: weights that move away from the pair counts only as far as held-out evidence carries them.

    gate → transfer → suspects → propose → screen → test → choose → shrink

Hospitals answer with scalars from their validation pairs; their votes are bounded. Screening and testing use different pairs, and
test results are pooled over rounds. Work is bounded by a share of the round's training work and counted in tokens, never in
seconds, so that the same settings give the same bits however fast the machine is.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median_high

import torch
from torch import Tensor

from engine.aggregation.evidence import VOTE_BOUND, Bench, Finding, Verdicts, faded, passes, pooled, tested
from engine.aggregation.memory import Memory
from engine.aggregation.proposals import Proposal, by_rules, mixed, screened
from engine.aggregation.surrogate import NEAR, Point, Quadratic, fit
from engine.aggregation.weighting import Situation, Weights, samples
from engine.aggregation_messages import Candidate, Conclusion, Transfer
from engine.federated.update import VOTER_PAIRS, Verdict

LENGTH_GATE = 3.0
"""An update longer than so many median lengths neither counts nor votes."""
HARM, HARM_GAP = 0.12, 0.05
"""Suspect: alone it raises the others' loss by so much, and by so much more than the typical update does. A small honest hospital
that trains long on its few pairs reaches 0.08 to 0.12."""
DOUBT = 1.0
"""Errors by which a complaint is reduced before it counts: a handful of pairs accuses nobody."""
SCREEN_SHARE = 0.55
"""Part of the work that goes into screening."""
SCREEN_PAIRS, TEST_PAIRS = 16, 32
"""Most pairs a voter uses on each slice."""
ENOUGH_PAIRS = 12
"""Pairs tested by all voters together below which nothing is concluded."""
FINALISTS = 5
"""Most candidates that are tested, as long as each voter can test them on some `PAIRS_PER_TEST` pairs."""
PAIRS_PER_TEST = 8
CAUTION = 1.0
"""Errors by which a gain must exceed 0. Mild on purpose: shrinking limits what a wrong choice costs."""


@dataclass
class Choice:
    """What was decided for one round, with everything it rests on."""

    weights: Weights
    """By hospital that counts; the others have none."""
    verdict: Conclusion
    shrink: float = 0.0
    suspects: tuple[str, ...] = ()
    transfer: tuple[Transfer, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    voters: tuple[str, ...] = ()
    evidence: dict[str, Finding] = field(default_factory=dict)


def too_long(situation: Situation) -> dict[str, str]:
    """Hospitals whose update is far longer than the median one, with the reason. Needs three updates to know what is usual."""
    if len(situation.names) < 3:
        return {}
    lengths = zip(situation.names, situation.outline.lengths, strict=True)
    return {
        name: f"its update is {length:.1f} times as long as the median one, more than {LENGTH_GATE:g} times"
        for name, length in lengths
        if length > LENGTH_GATE
    }


class Agent:
    """One round's decision.

    Args:
        situation: updates that passed the gate.
        everyone: all hospitals of the round, in the order in which candidates are recorded.
        bench: asks the voters.
        least_voters: voters needed for a conclusion: 2 hospitals, or the coordinator alone.
    """

    def __init__(
        self, situation: Situation, everyone: Sequence[str], bench: Bench, memory: Memory, *, least_voters: int, seed: int
    ) -> None:
        self._situation = situation
        self._everyone = everyone
        self._bench = bench
        self._memory = memory
        self._least_voters = least_voters
        self._seed = seed

    def decide(self) -> Generator[None, None, Choice]:
        """Ask, weigh and choose. Yields whenever something else may run."""
        names = self._situation.names
        alone = yield from self._screen([_unit(names), *(_unit(names, name) for name in names)])
        transfer = tuple(
            Transfer(
                hospital=name,
                voter=voter,
                gain=verdict.gains[1 + k] / verdict.losses[0],
                error=verdict.errors[1 + k] / verdict.losses[0],
            )
            for k, name in enumerate(names)
            for voter, verdict in alone.items()
            if verdict.pairs >= VOTER_PAIRS
        )
        suspects = self._suspects(transfer)
        kept = self._situation.only([name for name in names if name not in suspects])
        base = samples(kept)
        voters = {voter: v for voter, v in alone.items() if voter not in suspects and v.pairs >= VOTER_PAIRS}
        trusted = {voter: v for voter, v in voters.items() if not self._on_probation(voter)}
        voters = trusted if len(trusted) >= self._least_voters else voters
        choice = Choice(
            base, "thin", suspects=suspects, transfer=transfer, voters=tuple(voters), evidence=faded(self._memory.evidence)
        )
        if len(voters) < self._least_voters or len(kept.names) < 2:
            return choice
        proposals = yield from self._proposals(kept, base, transfer, voters)
        yield from self._test(choice, kept, base, proposals)
        return choice

    def _screen(self, vectors: Sequence[Sequence[float]]) -> Generator[None, None, Verdicts]:
        """Ask on the screening slice, always on the same pairs. Both screening calls together stay within their share."""
        tokens = {voter: SCREEN_SHARE * work / self._screenings for voter, work in self._bench.budget.items()}
        return (yield from self._bench.ask("screen", vectors, tokens, pairs=SCREEN_PAIRS, slopes=True))

    @property
    def _screenings(self) -> int:
        """Forward passes of a pair in both screening calls: start and updates alone, then sample weights."""
        return passes(1 + len(self._situation.names), slopes=True) + passes(1, slopes=True)

    def _on_probation(self, voter: str) -> bool:
        """Whether the hospital was gated or suspect in the last round: it votes again after a round without."""
        return self._situation.round - 1 in self._memory.faults.get(voter, ())

    def _suspects(self, transfer: Sequence[Transfer]) -> tuple[str, ...]:
        """Hospitals whose update alone harms most of the others. Never so many that fewer than two could count."""
        names = self._situation.names
        typical = {}
        for name in names:
            others = [one.gain + DOUBT * one.error for one in transfer if one.hospital == name and one.voter != name]
            typical[name] = median_high(others) if others else 0.0  # the upper one: with two voters, both must complain
        found = []
        for name in names:
            rest = [typical[other] for other in names if other != name]
            if rest and typical[name] < -HARM and typical[name] < median_high(rest) - HARM_GAP:
                found.append(name)
        return tuple(found) if len(names) - len(found) >= 2 else ()

    def _proposals(
        self, kept: Situation, base: Weights, transfer: Sequence[Transfer], alone: Verdicts
    ) -> Generator[None, None, list[Proposal]]:
        """Candidates with the gain that the voters' fitted curves expect of them, most promising first.

        `alone` holds what each voter found of the start and of every update alone.
        """
        names = self._situation.names
        at_base = yield from self._screen([[base.get(name, 0.0) for name in names]])
        curves = [
            _curve(names, kept.names, base, verdict, at_base[voter]) for voter, verdict in alone.items() if voter in at_base
        ]
        use = {
            name: fmean([one.gain for one in transfer if one.hospital == name and one.voter != name] or [0.0])
            for name in kept.names
        }
        rules = by_rules(kept, use, self._memory.last)
        return screened(kept.names, rules, base, lambda vectors: _votes(curves, vectors), self._seed)

    def _test(self, choice: Choice, kept: Situation, base: Weights, proposals: list[Proposal]) -> Generator[None, None, None]:
        """Measure the finalists on the test slice, and choose. Fills the choice in."""
        finalists = self._finalists(proposals, choice)
        listed = {proposal.name: proposal for proposal in (*proposals, *finalists)}
        vectors = [base, *(dict(zip(kept.names, one.weights, strict=True)) for one in finalists)]
        tokens = {voter: max(0.0, self._bench.left(voter)) / len(vectors) for voter in choice.voters}
        verdicts = yield from self._bench.ask(
            "test", [[vector.get(name, 0.0) for name in self._situation.names] for vector in vectors], tokens, pairs=TEST_PAIRS
        )
        verdicts = {voter: verdict for voter, verdict in verdicts.items() if verdict.pairs >= VOTER_PAIRS}
        enough = sum(verdict.pairs for verdict in verdicts.values()) >= ENOUGH_PAIRS
        results: dict[str, Finding] = {}
        if len(verdicts) >= self._least_voters and enough:
            choice.verdict = "kept"
            for number, one in enumerate(finalists, start=1):
                gain, precision = pooled(choice.evidence.get(one.name), *tested(verdicts, number))
                choice.evidence[one.name] = gain, precision
                results[one.name] = gain, 1 / math.sqrt(precision)
        best = max(results, key=lambda name: results[name][0] - CAUTION * results[name][1], default="")
        if best and results[best][0] > CAUTION * results[best][1]:
            gain, error = results[best]
            choice.verdict, choice.shrink = "chosen", gain**2 / (gain**2 + error**2)
            towards = dict(zip(kept.names, listed[best].weights, strict=True))
            choice.weights = {name: (1 - choice.shrink) * weight + choice.shrink * towards[name] for name, weight in base.items()}
        choice.candidates = tuple(
            self._candidate(kept, one, results.get(one.name), chosen=choice.verdict == "chosen" and one.name == best)
            for one in listed.values()
        )

    def _finalists(self, proposals: list[Proposal], choice: Choice) -> list[Proposal]:
        """Optimum, best plain rule, best other step size, best in earlier tests, and a mix: as many as the work allows."""
        optimum = next(one for one in proposals if one.kind == "optimum")
        plain = next(one for one in proposals if one.kind == "rule")
        scaled = next(one for one in proposals if one.kind == "scaled")
        known = [one for one in proposals if one.name in choice.evidence]
        proven = max(known, key=lambda one: _lower(choice.evidence[one.name]), default=optimum)
        ranked = {one.name: one for one in (optimum, plain, scaled, proven, mixed(optimum, plain))}
        fit_in = min(self._bench.left(voter) / (PAIRS_PER_TEST * self._pair_tokens(voter)) for voter in choice.voters)
        return list(ranked.values())[: max(1, min(FINALISTS, int(fit_in) - 1))]

    def _pair_tokens(self, voter: str) -> float:
        """Tokens of a pair at a voter, from what it used in screening."""
        return self._bench.spent[voter] / self._screenings / self._bench.pairs[voter]["screen"]

    def _candidate(self, kept: Situation, one: Proposal, result: Finding | None, *, chosen: bool) -> Candidate:
        weights = dict(zip(kept.names, one.weights, strict=True))
        gain, error = result if result else (None, None)
        in_order = tuple(weights.get(name, 0.0) for name in self._everyone)
        return Candidate(name=one.name, weights=in_order, screen=one.screen, gain=gain, error=error, chosen=chosen)


def _unit(names: Sequence[str], only: str = "") -> list[float]:
    return [float(name == only) for name in names]


def _curve(names: Sequence[str], kept: Sequence[str], base: Weights, alone: Verdict, at_base: Verdict) -> Quadratic:
    """A voter's relative gain over sample weights as a function of the kept hospitals' weights."""
    size = at_base.losses[0]
    columns = [names.index(name) for name in kept]

    def gain(loss: float) -> float:
        return (size - loss) / size

    def slopes(verdict: Verdict) -> list[float]:
        return [-verdict.slopes[column] / size for column in columns]

    points = [Point(_unit(kept), gain(alone.losses[0]), slopes(alone))]
    points += [Point(_unit(kept, name), gain(alone.losses[1 + names.index(name)])) for name in kept]
    points.append(Point([base[name] for name in kept], 0.0, slopes(at_base), importance=NEAR))
    return fit(points)


def _votes(curves: Sequence[Quadratic], vectors: Tensor) -> Tensor:
    """Bounded mean over voters of the gains expected of vectors (N, K), shape (N,)."""
    gains = torch.stack([curve(vectors) for curve in curves])  # (voters, N)
    bound = VOTE_BOUND * gains.abs().quantile(0.5, dim=0)
    return gains.clamp(-bound, bound).mean(dim=0)


def _lower(evidence: Finding) -> float:
    gain, precision = evidence
    return gain - CAUTION / math.sqrt(precision)
