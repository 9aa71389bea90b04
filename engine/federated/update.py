"""What a hospital sends back. Nothing else ever leaves it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.model.adapters import Adapter


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


@dataclass(frozen=True)
class Evaluation:
    """Loss of one adapter on one hospital's held-out pairs."""

    hospital: str
    loss: float
    """Mean negative log-likelihood per answer token, in nats."""
    pairs: int
    tokens: int
    """Answer tokens counted."""
