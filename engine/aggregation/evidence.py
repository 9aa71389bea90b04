"""Questions to those who evaluate, and how their answers are weighed: bounded votes, a bounded budget, pooled tests."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Protocol

from engine.aggregation.weighting import Situation
from engine.federated.checks import unfit_verdict
from engine.federated.update import Assessment, Lost, Slice, Verdict

TRAINING_WORK = 2
"""Forward passes that a training token costs: one forward, one backward through the frozen base."""
VOTE_BOUND = 3.0
"""A vote counts at most so many times the median size of all votes."""
FORGET = 0.7
"""Share of the precision that old evidence keeps each round."""
ERROR_FLOOR = 1e-4
"""Smallest relative error believed."""

Verdicts = dict[str, Verdict]


class Judges(Protocol):
    """Whoever evaluates candidates: a transport to the hospitals, or the coordinator's own public pairs."""

    def assess(self, assessment: Assessment) -> Generator[Verdict | Lost | None, None, None]:
        """Let each voter named in `assessment.tokens` try the candidates; one that cannot is `Lost`."""
        ...


@dataclass
class Bench:
    """Asks voters about weight vectors over one round's updates, and keeps count of the work."""

    judges: Judges
    situation: Situation
    budget: Mapping[str, float]
    """By voter, the work it may do this round: forward passes of one token."""
    spent: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    pairs: dict[str, dict[Slice, int]] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    """Voters without a usable verdict; they are not asked again this round."""

    def ask(
        self, part: Slice, vectors: Sequence[Sequence[float]], tokens: Mapping[str, float], *, pairs: int, slopes: bool = False
    ) -> Generator[None, None, Verdicts]:
        """Verdicts of the voters named in `tokens`, each on at most so many tokens of pairs; those without pairs are left out."""
        assessment = Assessment(
            round=self.situation.round,
            adapters=(self.situation.start, *(update.adapter for update in self.situation.updates)),
            vectors=tuple(tuple(vector) for vector in vectors),
            part=part,
            pairs=pairs,
            tokens={voter: int(limit) for voter, limit in tokens.items() if voter not in self._absent},
            slopes=slopes,
        )
        verdicts: Verdicts = {}
        for item in self.judges.assess(assessment):
            if item is None:
                yield None
                continue
            verdict = item if isinstance(item, Lost) else unfit_verdict(item, assessment) or item
            if isinstance(verdict, Lost):
                self.lost.append(verdict)
                continue
            work = verdict.tokens * passes(len(vectors), slopes=slopes)
            self.spent[verdict.voter] = self.spent.get(verdict.voter, 0) + work
            self.seconds += verdict.seconds
            self.pairs.setdefault(verdict.voter, {})[part] = verdict.pairs
            if verdict.pairs:
                verdicts[verdict.voter] = verdict
        return dict(sorted(verdicts.items()))

    @property
    def _absent(self) -> set[str]:
        return {one.hospital for one in self.lost}

    def left(self, voter: str) -> float:
        """Work the voter may still do."""
        return self.budget[voter] - self.spent.get(voter, 0)


def passes(vectors: int, *, slopes: bool) -> int:
    """Forward passes per token of an assessment; slopes take a backward pass more."""
    return vectors + (TRAINING_WORK - 1 if slopes else 0)


def bounded_mean(votes: Sequence[float]) -> float:
    """Mean of votes, none counting more than `VOTE_BOUND` times their median size."""
    bound = VOTE_BOUND * median(abs(vote) for vote in votes)
    return fmean(max(-bound, min(bound, vote)) for vote in votes)


def relative_gains(verdicts: Verdicts, candidate: int) -> list[float]:
    """Each voter's gain of a candidate over the first, as a share of the first one's loss."""
    return [verdict.gains[candidate] / verdict.losses[0] for verdict in verdicts.values()]


def tested(verdicts: Verdicts, candidate: int) -> tuple[float, float]:
    """Mean relative gain over voters, votes bounded, and its standard error over pairs."""
    errors = [verdict.errors[candidate] / verdict.losses[0] for verdict in verdicts.values()]
    error = math.sqrt(sum(one**2 for one in errors)) / len(errors)
    return bounded_mean(relative_gains(verdicts, candidate)), max(error, ERROR_FLOOR)


Finding = tuple[float, float]
"""A relative gain and its precision, 1 / error²."""


def faded(evidence: Mapping[str, Finding]) -> dict[str, Finding]:
    """Evidence as it stands one round later."""
    return {name: (gain, precision * FORGET) for name, (gain, precision) in evidence.items()}


def pooled(old: Finding | None, gain: float, error: float) -> Finding:
    """A new test joined with older evidence, each weighted by its precision."""
    precision = 1 / error**2
    if old is None:
        return gain, precision
    return (gain * precision + old[0] * old[1]) / (precision + old[1]), precision + old[1]
