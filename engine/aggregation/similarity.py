"""Lengths, angles and distances of updates, from inner products of their factors alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from torch import Tensor

from engine.aggregation.products import gram
from engine.model.adapters import Adapter


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
    def lengths(self) -> list[float]:
        """‖Δ_k‖ in medians of all of them; 0 for all when the median is 0."""
        middle = median(self.norms)
        return [norm / middle if middle else 0.0 for norm in self.norms]

    @property
    def cosines(self) -> list[float]:
        """Cosine of each Δ_k with their mean; 0 where one of them is 0."""
        mean = self.inner.mean(dim=1)  # ⟨Δ_k, mean⟩ (K,)
        size = float(self.inner.mean().clamp(min=0).sqrt())
        return [float(mean[k]) / (norm * size) if norm * size else 0.0 for k, norm in enumerate(self.norms)]

    def distances(self, weights: Tensor) -> Tensor:
        """‖Δ_k − Σ w_j Δ_j‖ for each k, shape (K,)."""
        to_point = self.inner @ weights  # ⟨Δ_k, point⟩
        squared = self.inner.diagonal() - 2 * to_point + weights @ to_point
        return squared.clamp(min=0).sqrt()


def similarity(start: Adapter, updates: Sequence[Adapter]) -> Similarity:
    """Compare updates with the adapter they started from."""
    g = gram([start, *updates])
    return Similarity(g[1:, 1:] - g[1:, :1] - g[:1, 1:] + g[0, 0])
