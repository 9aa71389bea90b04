"""Answers, one token at a time, so that the engine's loop can do something else between two tokens."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, RepetitionPenaltyLogitsProcessor

from engine.model.decoding import Decoding, one_thread

PROMPT_CHUNK = 128
"""Tokens of a prompt read at once: between two chunks an answer can be stopped."""
TOP_TOKENS = 512
"""Likeliest tokens that are looked at first when sampling; sorting all of a large vocabulary takes longer than the model."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 is greedy."""

    max_tokens: int = 200
    temperature: float = 0.0
    top_p: float = 0.95
    seed: int = 0
    repetition_penalty: float = 1.0
    """Above 1, tokens the answer holds already become less likely (CTRL, Keskar et al. 2019): a small model repeats itself."""


def generate(
    decoding: Decoding, prompt: Sequence[int], sampling: Sampling, ends: Collection[int]
) -> Iterator[tuple[int, int | None] | None]:
    """Continue each of the B sequences after the prompt, all with the same prompt.

    Tokens the sequences hold already must be the prompt's first ones; only the rest is read. Yields None after a piece of the
    prompt, then (row, token id), and (row, None) where a row has met an end mark; stops at `max_tokens` at the latest.
    """
    rows = len(decoding.ids)
    generators = [torch.Generator().manual_seed(sampling.seed) for _ in range(rows)]
    penalty = RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty, prompt_ignore_length=len(prompt))
    logits = torch.empty(0)
    for start in range(decoding.ids.shape[1], len(prompt), PROMPT_CHUNK):
        logits = decoding.extend(torch.tensor([prompt[start : start + PROMPT_CHUNK]]).expand(rows, -1))
        yield None
    going = set(range(rows))
    for left in range(sampling.max_tokens - 1, -1, -1):
        likely = penalty(decoding.ids, logits)  # (B, V)
        tokens = [choose(row, sampling, generator) for row, generator in zip(likely, generators, strict=True)]
        for row in sorted(going):
            yield row, None if tokens[row] in ends else tokens[row]
        going = {row for row in going if tokens[row] not in ends}
        if not going or not left:
            return
        with one_thread():
            logits = decoding.extend(torch.tensor(tokens)[:, None])


def choose(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """The next token from logits (V,): the likeliest, or a draw from the smallest set with `top_p` of the probability."""
    if sampling.temperature <= 0:
        return int(logits.argmax())
    probabilities = torch.softmax(logits / sampling.temperature, dim=-1)
    kept, order = probabilities.topk(min(TOP_TOKENS, len(probabilities)))
    if kept.sum() < sampling.top_p:
        kept, order = probabilities.sort(descending=True)
    before = kept.cumsum(-1) - kept
    kept = kept.masked_fill(before >= sampling.top_p, 0.0)
    return int(order[torch.multinomial(kept, 1, generator=generator)])


class TextStream:
    """Token ids in, text out: holds back what a later token may still change (half a UTF-8 character)."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._from = self._sent = 0

    def push(self, token: int) -> str:
        """The text that became certain with this token."""
        self._ids.append(token)
        fresh = self._fresh()
        if not fresh or fresh.endswith("\ufffd"):
            return ""
        self._from, self._sent = self._sent, len(self._ids)
        return fresh

    def flush(self) -> str:
        """What is left at the end of the answer."""
        return self._fresh()

    def _fresh(self) -> str:
        """Text of the ids not sent yet. A few ids before them are decoded too: spaces between words depend on the neighbour."""
        before = self._decode(self._ids[self._from : self._sent])
        return self._decode(self._ids[self._from :])[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
