"""Loss on answer tokens only. The vocabulary projection, a fifth of a small model's work, runs on those positions alone."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from engine.data.batches import Batch
from engine.model.fast_blocks import projected_nll, short_attention


def answer_nll(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Negative log-likelihood of each answer token, in nats, fp32: shape (N,), N answer tokens in row order."""
    device = model.device
    ids, predicts = batch.ids.to(device), batch.predicts.to(device)  # (B, T)
    with short_attention(model, ids.shape[1]):
        hidden = model.base_model(
            input_ids=ids, attention_mask=batch.attention.to(device), use_cache=False
        ).last_hidden_state  # (B, T, D)
    head = model.get_output_embeddings()
    assert head is not None
    targets = ids.roll(-1, dims=1)[predicts]  # (N,)
    return projected_nll(hidden[predicts], head, targets)


def per_pair_sums(nll: Tensor, batch: Batch) -> Tensor:
    """Sum of `answer_nll` for each pair of the batch: shape (B,)."""
    rows = batch.predicts.nonzero()[:, 0].to(nll.device)  # (N,)
    return torch.zeros(batch.ids.shape[0], dtype=nll.dtype, device=nll.device).index_add_(0, rows, nll)
