"""What travels between the coordinator and a hospital: an assignment down, an update back; an assessment down, a verdict back.

A hospital that cannot answer is `Lost`: the coordinator is told which kind of fault it was, never what the hospital was doing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.errors import DataError
from engine.model.adapters import Adapter
from engine.protocol import Fault

Slice = Literal["screen", "test", "all"]
Cause = Literal["diverged", "data", "memory", "connection", "file", "accelerator", "unexpected"]
"""What an exception that ended a hospital's work stands for."""
VOTER_PAIRS = 3
"""A hospital says nothing about candidates that it could try on fewer pairs of a slice: that would be about single pairs."""
MAX_TYPE_NAME = 60


@dataclass(frozen=True)
class Assignment:
    """What a hospital is asked to train in a round."""

    round: int
    start: Adapter
    trains: tuple[str, ...] = ("A", "B")
    """Factors that change; the others stay as in `start`."""
    held: int = 0
    """The first so many directions of `start` stay as they are: a frozen adapter under a fresh one."""
    corrections: Mapping[str, Adapter] = field(default_factory=dict)
    """By hospital, what scaffold adds to each gradient."""
    hospitals: tuple[str, ...] = ()
    """Who trains; empty is everybody. For the transport: hospitals are not told who else does."""
    ranks: Mapping[str, int] = field(default_factory=dict)
    """Directions of `start` that a hospital gets, where it is not all of them: the held ones and those that it trains."""
    gradients: bool = False
    """Hospitals also send the mean gradient of what they train, for scaffold."""

    def asks(self, hospital: str) -> bool:
        """Whether a hospital trains in this round."""
        return not self.hospitals or hospital in self.hospitals


@dataclass(frozen=True)
class Update:
    """A client update: adapter tensors, pair count, scalars. No text, tokens or per-pair numbers."""

    hospital: str
    adapter: Adapter
    pairs: int
    """Training pairs it holds."""
    steps: int
    loss: float
    """Mean training loss over the round's steps, nats per answer token."""
    variance: float
    """Variance of the training loss over the round's steps."""
    tokens: int
    """Tokens computed, padding included."""
    seconds: float
    """Time in training, without what was given to other jobs."""
    round: int
    """The round it was trained for."""
    gradient: Adapter = field(default_factory=dict)
    """Mean gradient over the round's steps, for scaffold; else empty."""


@dataclass(frozen=True)
class Evaluation:
    """Loss of one adapter on one hospital's held-out pairs."""

    hospital: str
    loss: float
    """Mean negative log-likelihood per answer token, in nats."""
    pairs: int
    tokens: int
    """Answer tokens counted."""


@dataclass(frozen=True)
class Assessment:
    """Candidate weight vectors to be tried on a slice of a hospital's validation pairs.

    Candidate c is the adapter with product (1 − Σ_k v_ck) B_0 A_0 + Σ_k v_ck B_k A_k: it is never built, all candidates share
    the factors.
    """

    round: int
    adapters: tuple[Adapter, ...]
    """The round's start adapter, then the K updates."""
    vectors: tuple[tuple[float, ...], ...]
    """C candidates of K weights. The first is the one that the others are compared with."""
    part: Slice
    pairs: int
    """At most so many pairs."""
    tokens: Mapping[str, int]
    """By voter, at most so many tokens in these pairs, padding included."""
    slopes: bool = False
    """Also report how the first candidate's loss changes with each weight."""


@dataclass(frozen=True)
class Verdict:
    """How candidates did on a slice: scalars per candidate, never per pair."""

    voter: str
    losses: tuple[float, ...]
    """(C,) nats per answer token."""
    gains: tuple[float, ...]
    """(C,) loss of the first candidate minus this one's."""
    errors: tuple[float, ...]
    """(C,) standard error of the gain over pairs (paired differences)."""
    slopes: tuple[float, ...]
    """(K,) change of the first candidate's loss with each weight; empty when it was not asked for."""
    pairs: int
    tokens: int
    """Tokens of these pairs, prompts and padding included."""
    seconds: float


@dataclass(frozen=True)
class Lost:
    """A hospital that gave no usable answer, in place of its update, evaluation or verdict."""

    hospital: str
    kind: Fault
    reason: str
    """One sentence part, from a closed list: no text of an exception, which could hold a record's text."""


class Diverged(ArithmeticError):
    """A hospital's training loss is no longer a number."""


ACCELERATOR_ERRORS = ("OutOfMemoryError", "AcceleratorError")
CAUSES: tuple[tuple[Cause, tuple[type[Exception], ...]], ...] = (
    ("diverged", (Diverged,)),
    ("data", (DataError, UnicodeError)),
    ("memory", (MemoryError,)),
    ("connection", (ConnectionError, TimeoutError)),
    ("file", (OSError,)),
)
MEANINGS: dict[Cause, str] = {
    "diverged": "its training loss is no longer a number: training.learning_rate is too high for it",
    "data": "its data cannot be read",
    "memory": "it ran out of memory",
    "connection": "its connection broke",
    "file": "a file of it cannot be read",
    "accelerator": "its accelerator ran out of memory or failed",
    "unexpected": "an unexpected error ended its work",
}


def lost_by(hospital: str, error: Exception) -> Lost:
    """A hospital whose work was ended by an exception: only the exception's type leaves it, and what its type stands for."""
    return broken(hospital, cause_of(error), type(error).__name__)


def broken(hospital: str, cause: Cause, name: str) -> Lost:
    """The same from what has left the hospital: a cause, and the name of an exception's type."""
    return Lost(hospital, "raised", f"{MEANINGS[cause]} ({plain_name(name)})")


def cause_of(error: Exception) -> Cause:
    """What an exception stands for."""
    if type(error).__name__ in ACCELERATOR_ERRORS:
        return "accelerator"
    return next((cause for cause, types in CAUSES if isinstance(error, types)), "unexpected")


def plain_name(name: str) -> str:
    """The name of an exception's type where it is one in form, and no other text."""
    return name if name.isascii() and name.isidentifier() and len(name) <= MAX_TYPE_NAME else "exception"
