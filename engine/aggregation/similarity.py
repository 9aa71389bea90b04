"""Lengths, angles and distances of updates, from their factors alone."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from engine.aggregation.products import gram, layers
from engine.model.adapters import Adapter
from engine.model.decoding import one_thread

DIRECTIONS = 128
"""Random directions from which an angle is estimated, in each layer."""


@dataclass(frozen=True)
class Outline:
    """How long each of K updates is, and how far it points the way of their mean."""

    norms: Sequence[float]
    """‖Δ_k‖."""
    cosines: Sequence[float]
    """Cosine of each Δ_k with their mean; 0 where one of them is 0."""

    @property
    def lengths(self) -> list[float]:
        """‖Δ_k‖ in medians of all of them; 0 for all when the median is 0."""
        middle = median(self.norms)
        return [norm / middle if middle else 0.0 for norm in self.norms]


@dataclass(frozen=True)
class Similarity:
    """K updates as changes Δ_k = B_k A_k − B_0 A_0 from the round's start."""

    inner: Tensor
    """⟨Δ_i, Δ_j⟩, shape (K, K), float64."""

    @property
    def norms(self) -> list[float]:
        """‖Δ_k‖."""
        return [float(value) for value in self.inner.diagonal().clamp(min=0).sqrt()]

    @property
    def outline(self) -> Outline:
        """Lengths and angles, exactly."""
        norms = self.norms
        mean = self.inner.mean(dim=1)  # ⟨Δ_k, mean⟩ (K,)
        size = float(self.inner.mean().clamp(min=0).sqrt())
        return Outline(norms, [float(mean[k]) / (norm * size) if norm * size else 0.0 for k, norm in enumerate(norms)])

    def distances(self, weights: Tensor) -> Tensor:
        """‖Δ_k − Σ w_j Δ_j‖ for each k, shape (K,)."""
        to_point = self.inner @ weights  # ⟨Δ_k, point⟩
        squared = self.inner.diagonal() - 2 * to_point + weights @ to_point
        return squared.clamp(min=0).sqrt()


def similarity(start: Adapter, updates: Sequence[Adapter]) -> Similarity:
    """Compare updates, each with each, as changes of the adapter they started from. Time grows with K²."""
    g = gram([start, *updates])
    return Similarity(g[1:, 1:] - g[1:, :1] - g[:1, 1:] + g[0, 0])


@one_thread()
def sketched(start: Adapter, updates: Sequence[Adapter]) -> Outline:
    """Lengths, exactly, and angles, estimated, of many updates: time grows with K, and one update is held at a time.

    With Ω of independent standard normal columns, the mean of ⟨Δ_k Ω, Δ_j Ω⟩ over columns is ⟨Δ_k, Δ_j⟩ in expectation. The
    cosines' standard error is about 1 / √(`DIRECTIONS` · layers): 0.01 for 60 layers.
    """
    norms = [similarity(start, [update]).norms[0] for update in updates]
    inner, size = torch.zeros(len(updates), dtype=torch.float64), 0.0  # ⟨Δ_k, mean⟩ and ‖mean‖²
    for a_name, b_name in layers(start):
        draw = torch.Generator().manual_seed(zlib.crc32(a_name.encode()))
        omega = torch.randn(start[a_name].shape[1], DIRECTIONS, generator=draw)  # (in, D)
        begun = start[b_name] @ (start[a_name] @ omega)  # (out, D)
        mean = torch.zeros_like(begun, dtype=torch.float64)
        for update in updates:
            mean += update[b_name] @ (update[a_name] @ omega)
        mean = mean / len(updates) - begun
        size += float(mean.square().sum())
        for k, update in enumerate(updates):
            inner[k] += ((update[b_name] @ (update[a_name] @ omega) - begun) * mean).sum()
    size = math.sqrt(size * DIRECTIONS)
    return Outline(norms, [float(inner[k]) / (norm * size) if norm * size else 0.0 for k, norm in enumerate(norms)])
