"""How the next token's logits come about: what a decoder is, and the one that works for every model.

A `Decoder` belongs to a loaded model. `start` begins a `Decoding`: a batch of sequences of equal length, one for each adapter,
whose keys and values are kept. `LeanDecoder` (`engine.model.lean`) is the fast one for Llama-like models on a CPU; `BankDecoder`
here asks the model itself through the adapter bank, row after row.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from transformers import DynamicCache

from engine.data.batches import collate
from engine.model.adapters import Adapter, AdapterBank
from engine.model.loss import answer_nll
from engine.model.template import Example
from engine.protocol import BASE
from engine.settings import LoraSettings

SLOTS = 4
"""Bank slots kept for answers: as many as are compared at once."""


@dataclass(frozen=True)
class Served:
    """An adapter as it answers. Without tensors it is the base model alone."""

    tensors: Adapter = field(default_factory=dict)
    lora: LoraSettings = field(default_factory=LoraSettings)

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same numbers: tells whether keys and values of earlier turns still hold."""
        digest = hashlib.sha256(f"{self.scale}".encode())
        for key in sorted(self.tensors):
            digest.update(key.encode())
            digest.update(self.tensors[key].contiguous().numpy().data)
        return digest.hexdigest()

    @property
    def scale(self) -> float:
        """The adapter adds `scale · B·A`."""
        return self.lora.alpha / self.lora.rank


class Decoding(Protocol):
    """B sequences that grow together."""

    ids: Tensor
    """Tokens read so far, (B, S)."""

    def extend(self, ids: Tensor) -> Tensor:
        """Read tokens (B, T); the logits of what follows the last one, (B, V), fp32 on the CPU."""
        ...

    def cut(self, length: int) -> None:
        """Forget all tokens after the first `length`."""
        ...


class Decoder(Protocol):
    """A model that reads and continues."""

    def start(self, adapters: Sequence[Served]) -> Decoding:
        """Begin a batch of empty sequences, one for each adapter."""
        ...

    def loss(self, adapter: Served, example: Example) -> float:
        """Mean negative log-likelihood of an example's answer, in nats per token."""
        ...


class BankDecoder:
    """Any model, through the adapter bank. The bank may do other work between two calls."""

    def __init__(self, bank: AdapterBank) -> None:
        self.bank = bank
        self._slots: OrderedDict[str, str] = OrderedDict()  # fingerprint → slot, least recently used first

    def start(self, adapters: Sequence[Served]) -> BankDecoding:
        """Begin a batch of empty sequences, one for each adapter."""
        return BankDecoding(self, adapters)

    def loss(self, adapter: Served, example: Example) -> float:
        """Mean negative log-likelihood of an example's answer, in nats per token."""
        with torch.inference_mode():
            self.activate(adapter)
            return float(answer_nll(self.bank.base.model, collate([example], pad_id=0)).mean())

    def activate(self, adapter: Served) -> None:
        """Let an adapter answer the next forward pass; it is put into a slot when it is in none."""
        if not adapter.tensors:
            self.bank.use(BASE, training=False)
            return
        key = adapter.fingerprint
        slot = self._slots.pop(key, None)
        if slot is None:
            slot = self._slots.popitem(last=False)[1] if len(self._slots) == SLOTS else f"answering_{len(self._slots)}"
            with torch.inference_mode(False):  # a slot may be trained later
                self.bank.put(slot, adapter.tensors, adapter.lora)
        self._slots[key] = slot
        self.bank.use(slot, training=False)


class BankDecoding:
    """Sequences with a key/value cache each."""

    def __init__(self, decoder: BankDecoder, adapters: Sequence[Served]) -> None:
        self._decoder = decoder
        self._model = decoder.bank.base.model
        self._adapters = adapters
        self._caches = [DynamicCache(config=self._model.config) for _ in adapters]
        self.ids = torch.empty((len(adapters), 0), dtype=torch.long)

    def extend(self, ids: Tensor) -> Tensor:
        """Read tokens (B, T); the logits of what follows the last one, (B, V), fp32 on the CPU."""
        rows = []
        with torch.inference_mode():
            for row, cache, adapter in zip(ids, self._caches, self._adapters, strict=True):
                self._decoder.activate(adapter)
                output = self._model(
                    input_ids=row[None].to(self._model.device), past_key_values=cache, use_cache=True, logits_to_keep=1
                )
                rows.append(output.logits[0, -1].float().cpu())
        self.ids = torch.cat([self.ids, ids], dim=1)
        return torch.stack(rows)

    def cut(self, length: int) -> None:
        """Forget all tokens after the first `length`. A cache that cannot forget is made anew."""
        surplus = self.ids.shape[1] - length
        if surplus <= 0:
            return
        try:
            for cache in self._caches:
                cache.crop(-surplus)
        except (ValueError, NotImplementedError):  # e.g. a sliding window that has dropped its beginning
            self._caches = [DynamicCache(config=self._model.config) for _ in self._adapters]
            length = 0
        self.ids = self.ids[:, :length]


@contextmanager
def one_thread() -> Iterator[None]:
    """Small pieces of work gain nothing from a second thread, and on a busy machine they wait for it a hundred times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
