"""Three parts of a training step that the usual kernels are slow at on a processor, made for this project's short sequences.

* Attention. PyTorch's fused CPU kernel is made for long sequences: at 130 tokens its backward pass takes a fifth of a bf16 step.
  Plain matrix products do the same in a fifth of that. No mask is needed: batches are padded on the right, and no token looks
  at what comes after it.
* Answer loss. A softmax over the vocabulary for all answer tokens at once moves hundreds of megabytes; some words at a time stay
  in the cache, and the gradient is worked out on the way.
* Dropout. One draw of the random generator serves four numbers.

Together they make the training step of the bundled model 1.4 times as fast; fused projections, fused norms and compiled blocks
were tried and gave nothing (`benchmarks/README.md`). Everything is deterministic for a given seed and thread count.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

NAME = "short_causal"
"""Of the attention in transformers' registry."""
ARCHITECTURES = ("llama", "mistral")
"""Models whose attention is plain: causal, scaled, without caps or sinks."""
LONGEST = 512
"""Tokens up to which the products are faster than the fused kernel, and their scores small."""
WORDS = 1024
"""Words of the vocabulary whose logits are worked on at once: their weights stay in the cache."""


# --- attention -----------------------------------------------------------------------------------------------------------------


def causal_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    """Causal attention by plain products: query (B, H, T, E), key and value (B, K, T, E) with H a multiple of K; (B, T, H, E).

    Heads that share a key are stacked along T, so that nothing is repeated.
    """
    batch, heads, tokens, width = query.shape
    keys = key.shape[1]
    shared = heads // keys
    rows = query.reshape(batch * keys, shared * tokens, width)  # (B·K, H/K·T, E)
    future = torch.full((tokens, tokens), float("-inf"), dtype=query.dtype).triu_(1).repeat(shared, 1)
    columns = key.reshape(batch * keys, tokens, width).transpose(1, 2)
    scores = torch.baddbmm(future, rows, columns, alpha=scaling)  # (B·K, H/K·T, T)
    mixed = torch.bmm(torch.softmax(scores, dim=-1), value.reshape(batch * keys, tokens, width))
    return mixed.view(batch, heads, tokens, width).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, causal_attention)


@contextmanager
def short_attention(model: PreTrainedModel, tokens: int) -> Iterator[None]:
    """Forward passes in the block use `causal_attention` where model and length allow. Sequences are padded on the right."""
    config = model.config
    usual = config._attn_implementation
    fits = (
        model.device.type == "cpu"
        and tokens <= LONGEST
        and config.model_type in ARCHITECTURES
        and getattr(config, "sliding_window", None) is None
    )
    config._attn_implementation = NAME if fits else usual
    try:
        yield
    finally:
        config._attn_implementation = usual


# --- loss ----------------------------------------------------------------------------------------------------------------------


def projected_nll(hidden: Tensor, head: nn.Module, targets: Tensor) -> Tensor:
    """Negative log-likelihood of targets (N,) after the vocabulary projection of hidden states (N, D): fp32, shape (N,)."""
    plain = isinstance(head, nn.Linear) and getattr(head, "bias", None) is None and not head.weight.requires_grad
    if hidden.device.type != "cpu" or not plain:
        return F.cross_entropy(head(hidden).float(), targets, reduction="none")
    nll: Tensor = _ProjectedLoss.apply(hidden, head.weight, targets)  # type: ignore[no-untyped-call]
    return nll


class _ProjectedLoss(torch.autograd.Function):
    """Projection, softmax and loss, some words at a time; keeps the gradient of the hidden states alone.

    The sums of the softmax are kept relative to the largest logit so far (Milakov and Gimelshein 2018, as in FlashAttention), so
    that one pass over the weights gives the loss and, with the weights as values, the gradient: Σ softmax_v w_v − w_target.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        ctx.precision = hidden.dtype
        largest = torch.full((len(hidden), 1), float("-inf"))
        total, gradient = torch.zeros(len(hidden), 1), torch.zeros(hidden.shape)  # of the words so far, over exp(largest)
        for words in torch.split(weight, WORDS):
            logits = (hidden @ words.t()).float()  # (N, words)
            before, largest = largest, torch.maximum(largest, logits.amax(1, keepdim=True))
            shrunk = (before - largest).exp_()
            logits.sub_(largest).exp_()
            total.mul_(shrunk).add_(logits.sum(1, keepdim=True))
            if ctx.needs_input_grad[0]:
                gradient.mul_(shrunk).add_(logits.to(hidden.dtype) @ words)
        right = weight[targets].float()  # (N, D)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(gradient.div_(total).sub_(right))
        return (total.log_() + largest)[:, 0] - (hidden.float() * right).sum(1)

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * incoming[0][:, None]).to(ctx.precision), None, None


# --- dropout -------------------------------------------------------------------------------------------------------------------


class FastDropout(nn.Module):
    """Dropout with a probability in steps of 1/65,536: a 64-bit draw of the global generator serves four numbers."""

    STEPS = 2**16

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropped = round(p * self.STEPS)

    def forward(self, x: Tensor) -> Tensor:
        """As `torch.nn.Dropout`."""
        if not self.training or x.device.type != "cpu":
            return F.dropout(x, self.dropped / self.STEPS, self.training)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = draws.view(torch.int16)[: x.numel()].view(x.shape) >= self.dropped - self.STEPS // 2
        return x * kept.to(x.dtype).mul_(self.STEPS / (self.STEPS - self.dropped))


def with_fast_dropout(peft: PeftModel, adapter: str) -> None:
    """Replace the dropout of a newly added adapter, in the layers that it changes."""
    for module in peft.modules():
        if not isinstance(module, LoraLayer) or adapter not in module.lora_dropout:
            continue
        if isinstance(module.lora_dropout[adapter], nn.Dropout):
            module.lora_dropout[adapter] = FastDropout(module.lora_dropout[adapter].p)
