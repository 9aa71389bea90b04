"""How far a run has come and how long it will still take, from what its rounds took so far. Pure functions of the state."""

from __future__ import annotations

from itertools import islice
from statistics import fmean

from fedmed_tui.state import RoundState, RunState

ASSUMED = (0.5, 0.3, 0.2)
"""Shares of training, judging and evaluating in a round, before a round has shown its own."""
ALMOST = 0.99
"""The most of an unfinished run that is told as done."""
RECENT = 10
"""Rounds that set the pace: the latest ones."""


def fraction(run: RunState, now: float) -> float:
    """How far the run has come at a Unix time, 0 to 1; 1 only once it is finished."""
    total = max(run.total_rounds, 1)
    if run.finished is not None:
        return min(1.0, run.completed / total)
    return min(ALMOST, (run.completed + round_fraction(run, now)) / total)


def round_fraction(run: RunState, now: float) -> float:
    """How far the current round has come at a Unix time, 0 to 1: trained, judged and evaluated."""
    current = run.current
    if current is None or not run.hospitals:
        return 0.0
    lengths = _pace(run) or ASSUMED
    done = sum(length * share for length, share in zip(lengths, _shares(run, current, now), strict=True))
    return done / (sum(lengths) or 1.0)


def seconds_left(run: RunState, now: float) -> float | None:
    """Estimated seconds to the end of the run; None until a round has shown how long its parts take, and between rounds."""
    current, pace = run.current, _pace(run)
    if current is None or pace is None or not run.hospitals:
        return None
    rest = sum(length * (1 - share) for length, share in zip(pace, _shares(run, current, now), strict=True))
    left = rest + sum(pace) * max(0, run.total_rounds - current.number)
    return left if left > 0 else None


def _pace(run: RunState) -> tuple[float, float, float] | None:
    """Mean seconds of a round's training, judging and evaluating since the run was started or resumed.

    The first round warms everything up: it counts only while there is no other.
    """
    later = (state.parts for number, state in reversed(run.rounds.items()) if number > run.first_round)
    known = list(islice((parts for parts in later if parts is not None), RECENT))
    if not known:
        first = run.rounds.get(run.first_round)
        return first.parts if first is not None else None
    train, judge, evaluate = (fmean(part) for part in zip(*known, strict=True))
    return train, judge, evaluate


def _shares(run: RunState, state: RoundState, now: float) -> tuple[float, float, float]:
    """How far a round's training, judging and evaluating have come, 0 to 1 each."""
    if state.judged is not None:
        return 1.0, 1.0, min(1.0, state.evaluated / len(run.hospitals))
    if state.trained is not None:
        pace = _pace(run)  # judging tells nothing of itself until it is done
        return 1.0, max(0.0, min(1.0, (now - state.trained) / pace[1])) if pace and pace[1] else 0.0, 0.0
    steps = sum(at.step / at.steps for at in state.hospitals.values() if at.steps)
    return min(1.0, steps / run.asked(state)), 0.0, 0.0
