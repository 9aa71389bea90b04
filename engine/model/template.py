"""Conversations and pairs as token ids, through the base model's own chat template.

Text from people and data is never read as control tokens: any special token spelled out in it is broken up first, so a pair that
contains `<|im_start|>system` cannot open a turn of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from engine.protocol import SYSTEM_PROMPT, ChatTurn


@dataclass(frozen=True)
class Example:
    """One pair as token ids. Loss is counted from `prompt_length` on."""

    ids: tuple[int, ...]
    prompt_length: int

    @property
    def answer_length(self) -> int:
        """Tokens that count towards the loss."""
        return len(self.ids) - self.prompt_length


def prompt_ids(tokenizer: PreTrainedTokenizerBase, turns: Sequence[ChatTurn]) -> list[int]:
    """Token ids of a conversation, ending where the assistant's answer begins."""
    messages = [{"role": turn.role, "content": neutral(turn.text, tokenizer)} for turn in turns]
    if messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": SYSTEM_PROMPT})
    try:
        text = _render(tokenizer, messages)
    except TemplateError:  # e.g. Mistral's template has no system role: its text leads the first question
        system, first, *rest = messages
        merged = {"role": first["role"], "content": f"{system['content']}\n\n{first['content']}"}
        text = _render(tokenizer, [merged, *rest])
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def encode_pair(tokenizer: PreTrainedTokenizerBase, question: str, answer: str, max_tokens: int) -> Example:
    """A question with its answer and end mark, cut at `max_tokens`. A long question loses its middle, not the answer's start."""
    prompt = prompt_ids(tokenizer, [ChatTurn(role="user", text=question)])
    limit = max_tokens * 3 // 4
    if len(prompt) > limit:
        half = limit // 2
        prompt = prompt[:half] + prompt[half - limit :]
    end = [tokenizer.eos_token_id]
    answer_ids = tokenizer(neutral(answer, tokenizer), add_special_tokens=False)["input_ids"]
    ids = (prompt + list(answer_ids) + end)[:max_tokens]
    return Example(ids=tuple(ids), prompt_length=len(prompt))


def encode_question(tokenizer: PreTrainedTokenizerBase, question: str, max_tokens: int) -> Example:
    """A question behind its system prompt, cut at `max_tokens`; the loss is counted on the question's own tokens."""
    ids, other = (prompt_ids(tokenizer, [ChatTurn(role="user", text=text)]) for text in (question, "?"))
    start, behind = shared_length(ids, other), shared_length(ids[::-1], other[::-1])
    end = max(len(ids) - behind, start + 1)
    return Example(ids=tuple(ids[: min(end, max_tokens)]), prompt_length=min(start, max_tokens - 1))


def shared_length(left: Sequence[int], right: Sequence[int]) -> int:
    """How many first elements are equal."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(left), len(right)))


def neutral(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The text with every spelled-out special token broken by a space, so that it is read as ordinary characters."""
    for token in special_tokens(tokenizer):
        while token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> Iterable[str]:
    """Every control token the tokenizer knows, longest first."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    return sorted((token for token in added | set(tokenizer.all_special_tokens) if len(token) > 1), key=len, reverse=True)


def _render(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> str:
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
