"""The loss of many candidate weight vectors at once, on one base model and one copy of the updates' factors.

All candidates are weighted sums of the same K + 1 products, so a layer's output is base(x) + s · B diag(c) A x with the stacked
factors A (R, in), B (out, R) and one coefficient per direction. Only the coefficients differ between candidates: a batch holds
each pair once per candidate, each row with its own coefficients. The same pass gives slopes, the loss's derivatives by weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from engine.aggregation.products import layers, rank_of
from engine.data.batches import Batch
from engine.federated.update import Assessment, Verdict
from engine.model.adapters import Adapter, AdapterBank
from engine.model.loss import answer_nll, per_pair_sums
from engine.protocol import BASE

BATCH_TOKENS = 8192
"""Candidates go through the model together as long as their rows have at most so many tokens."""


class Stack:
    """K + 1 adapters of any rank as one: factors side by side on the model's device."""

    def __init__(self, bank: AdapterBank, adapters: Sequence[Adapter]) -> None:
        self._bank = bank
        self.device = device = bank.base.device
        owners = [k for k, adapter in enumerate(adapters) for _ in range(rank_of(adapter))]
        self._owner = torch.tensor(owners, device=device)  # (R,)
        self._factors: dict[str, tuple[Tensor, Tensor]] = {}
        for a_name, b_name in layers(adapters[0]):
            a = torch.cat([adapter[a_name] for adapter in adapters]).to(device)  # (R, in)
            b = torch.cat([adapter[b_name] for adapter in adapters], dim=1).to(device)  # (out, R)
            self._factors[a_name.removesuffix(".lora_A.weight")] = (a, b)
        self._scale = bank.lora.alpha / bank.lora.rank

    def sums(self, batch: Batch, vectors: Tensor) -> Tensor:
        """Each pair's summed answer loss under each candidate: vectors (C, K) → (C, pairs), in nats."""
        together = max(1, BATCH_TOKENS // batch.tokens)
        return torch.cat([self._sums(batch, part) for part in torch.split(vectors, together)])

    def _sums(self, batch: Batch, vectors: Tensor) -> Tensor:
        candidates, pairs = len(vectors), len(batch.ids)
        start = 1 - vectors.sum(dim=1, keepdim=True)
        by_direction = torch.cat((start, vectors), dim=1)[:, self._owner]  # (C, R)
        rows = by_direction.repeat_interleave(pairs, dim=0)[:, None, :]  # (C·pairs, 1, R)
        repeated = replace(
            batch,
            ids=batch.ids.repeat(candidates, 1),
            attention=batch.attention.repeat(candidates, 1),
            predicts=batch.predicts.repeat(candidates, 1),
        )
        self._bank.use(BASE, training=False)
        with self._added(rows):
            nll = answer_nll(self._bank.base.model, repeated)
        return per_pair_sums(nll.double(), repeated).view(candidates, pairs)

    @contextmanager
    def _added(self, rows: Tensor) -> Iterator[None]:
        """The low-rank term on every adapted layer, for one forward pass: nothing else may run the model meanwhile."""
        handles = []
        try:
            for name, module in self._bank.peft.named_modules():
                if isinstance(module, LoraLayer) and name in self._factors:
                    a, b = self._factors[name]
                    hook = partial(_add, a=a, b=b, rows=rows * self._scale)
                    handles.append(module.register_forward_hook(hook))
            yield
        finally:
            for handle in handles:
                handle.remove()


def _add(module: nn.Module, inputs: tuple[Any, ...], output: Tensor, *, a: Tensor, b: Tensor, rows: Tensor) -> Tensor:
    """output + B diag(c) A x, in the factors' precision, as peft does it."""
    inside = (inputs[0].to(a.dtype) @ a.T) * rows.to(a.dtype)  # (rows, T, R)
    change: Tensor = inside @ b.T
    return output + change.to(output.dtype)


class Tally:
    """Adds up candidates' losses over a slice, pair by pair, and forgets the pairs."""

    def __init__(self, assessment: Assessment) -> None:
        self._vectors = torch.tensor(assessment.vectors, dtype=torch.float32)  # (C, K)
        self._slopes = torch.zeros(self._vectors.shape[1], dtype=torch.float64) if assessment.slopes else None
        self._losses: list[Tensor] = []  # per batch (C, pairs)
        self._answers: list[Tensor] = []  # per batch (pairs,)
        self._tokens = 0
        self.seconds = 0.0

    def add(self, stack: Stack, batch: Batch) -> None:
        """Run one batch under every candidate."""
        vectors = self._vectors.to(stack.device)
        if self._slopes is None:
            with torch.inference_mode():
                sums = stack.sums(batch, vectors)
        else:
            first = vectors[:1].clone().requires_grad_()
            own = stack.sums(batch, first)
            own.sum().backward()  # type: ignore[no-untyped-call]
            assert first.grad is not None
            self._slopes += first.grad[0].double().cpu()
            with torch.inference_mode():
                sums = torch.cat((own.detach(), stack.sums(batch, vectors[1:]))) if len(vectors) > 1 else own.detach()
        self._losses.append(sums.cpu())
        self._answers.append(batch.predicts.sum(dim=1))
        self._tokens += batch.tokens

    def verdict(self, voter: str) -> Verdict:
        """Means over answer tokens; a gain's error by the ratio estimator over pairs (infinite with a single pair)."""
        losses, answers = torch.cat(self._losses, dim=1), torch.cat(self._answers).double()  # (C, n), (n,)
        pairs, total = len(answers), float(answers.sum())
        means = losses.sum(dim=1) / total
        better = losses[:1] - losses  # (C, n)
        gains = better.sum(dim=1) / total
        spread = (better - gains[:, None] * answers).square().sum(dim=1)
        factor = pairs / (pairs - 1) if pairs > 1 else math.inf
        errors = [math.sqrt(float(value) * factor) / total if value else 0.0 for value in spread]
        slopes = self._slopes / total if self._slopes is not None else torch.zeros(0)
        return Verdict(
            voter=voter,
            losses=tuple(means.tolist()),
            gains=tuple(gains.tolist()),
            errors=tuple(errors),
            slopes=tuple(slopes.tolist()),
            pairs=pairs,
            tokens=self._tokens,
            seconds=self.seconds,
        )
