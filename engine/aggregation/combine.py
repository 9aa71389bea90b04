"""How weighted adapters become one adapter."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.aggregation.weighting import Weights
from engine.federated.update import Update
from engine.model.adapters import Adapter


def factors(updates: Sequence[Update], weights: Weights) -> Adapter:
    """A and B averaged separately, each tensor Σ w_k T_k (FedIT, Zhang et al. 2023).

    Summed in float64 in the order of the hospitals' names, so that the result does not depend on who answered first.
    """
    ordered = sorted(updates, key=lambda update: update.hospital)
    combined = {}
    for key in ordered[0].adapter:
        total = torch.zeros_like(ordered[0].adapter[key], dtype=torch.float64)
        for update in ordered:
            total += weights[update.hospital] * update.adapter[key].double()
        combined[key] = total.float()
    return combined
