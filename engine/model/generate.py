"""Answers, one token at a time, so that the engine's loop can do something else between two tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerBase

from engine.model.adapters import AdapterBank


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 is greedy."""

    max_tokens: int = 200
    temperature: float = 0.0
    top_p: float = 0.95
    seed: int = 0


def generate(bank: AdapterBank, adapter: str, prompt: Sequence[int], sampling: Sampling) -> Iterator[int]:
    """Yield the answer's token ids until the end mark or `max_tokens`.

    The adapter is made active again for every token, so another job may use the model in between.
    """
    model, tokenizer = bank.base.model, bank.base.tokenizer
    ends = _end_ids(bank)
    generator = torch.Generator().manual_seed(sampling.seed)
    cache = DynamicCache(config=model.config)
    ids = torch.tensor([list(prompt)], device=model.device)  # (1, T)
    room = model.config.max_position_embeddings - len(prompt)
    for _ in range(max(0, min(sampling.max_tokens, room))):
        with torch.inference_mode(), _decoding_threads(ids.shape[1]):
            bank.use(adapter, training=False)
            output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = choose(output.logits[0, -1].float().cpu(), sampling, generator)
        if token in ends or token == tokenizer.eos_token_id:
            return
        yield token
        ids = torch.tensor([[token]], device=model.device)


def choose(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """The next token from logits (V,): the likeliest, or a draw from the smallest set with `top_p` of the probability."""
    if sampling.temperature <= 0:
        return int(logits.argmax())
    probabilities, order = torch.softmax(logits / sampling.temperature, dim=-1).sort(descending=True)
    before = probabilities.cumsum(-1) - probabilities
    probabilities = probabilities.masked_fill(before >= sampling.top_p, 0.0)
    return int(order[torch.multinomial(probabilities, 1, generator=generator)])


class TextStream:
    """Token ids in, text out: holds back what a later token may still change (half a UTF-8 character)."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._sent = ""

    def push(self, token: int) -> str:
        """The text that became certain with this token."""
        self._ids.append(token)
        text = self._decode()
        if text.endswith("\ufffd") or not text.startswith(self._sent):
            return ""
        fresh = text[len(self._sent) :]
        self._sent = text
        return fresh

    def flush(self) -> str:
        """What is left at the end of the answer."""
        return self._decode()[len(self._sent) :]

    def _decode(self) -> str:
        return str(self._tokenizer.decode(self._ids, skip_special_tokens=True))


def _end_ids(bank: AdapterBank) -> set[int]:
    configured = bank.base.model.generation_config.eos_token_id if bank.base.model.generation_config else None
    return set(configured) if isinstance(configured, list) else {configured} if configured is not None else set()


@contextmanager
def _decoding_threads(tokens: int) -> Iterator[None]:
    """One thread for a single token of a small matrix: a second gains little and collapses on a busy machine."""
    before = torch.get_num_threads()
    if tokens > 1 or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
