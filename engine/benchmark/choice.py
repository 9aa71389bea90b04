"""Multiple choice by answer log-likelihood, as lm-evaluation-harness (0.4) scores it, zero-shot.

The model reads the plain prompt, without a chat template, and each choice behind it; the choice with the highest sum of token
log-likelihoods is its pick. Neither task is length-normalised there. Prompts and choices are those of the tasks `pubmedqa` and
`mmlu_*`; `benchmarks/lm_eval_check.py` compares the picks with the real package.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.benchmark.public_data import read_public
from engine.data.batches import by_length

BATCH = 8
PUBMEDQA, MMLU = "PubMedQA", "MMLU medical"


@dataclass(frozen=True)
class Question:
    """A prompt, its choices, and the number of the right one."""

    prompt: str
    choices: tuple[str, ...]
    answer: int


def pubmedqa(folder: str) -> list[Question]:
    """The 500 questions of the official test. Raises NotMeasured when the set is not there."""
    return [question for question in read_public(folder, "pubmedqa_labeled", _pubmedqa_question) if question is not None]


def _pubmedqa_question(record: dict[str, Any]) -> Question | None:
    if not record["official_test"]:
        return None
    choices = ("yes", "no", "maybe")
    prompt = f"Abstract: {chr(10).join(record['context'])}\nQuestion: {record['question']}\nAnswer:"
    return Question(prompt=prompt, choices=choices, answer=choices.index(record["answer"]))


def mmlu(folder: str) -> list[Question]:
    """Six medical subjects of MMLU's test. Raises NotMeasured when the set is not there."""
    return read_public(folder, "mmlu_medical", _mmlu_question)


def _mmlu_question(record: dict[str, Any]) -> Question:
    letters = ("A", "B", "C", "D")
    subject = record["group"].replace("_", " ")
    listed = "".join(f"\n{letter}. {record['options'][letter]}" for letter in letters)
    prompt = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
    return Question(
        prompt=f"{prompt}{record['question'].strip()}{listed}\nAnswer:",
        choices=letters,
        answer=letters.index(record["answer_idx"]),
    )


TASKS = {PUBMEDQA: pubmedqa, MMLU: mmlu}


@dataclass
class _Request:
    """What the model reads once, and the choices that are judged by it. Choices of one token share their prompt."""

    ids: tuple[int, ...]
    """Without the last token of the choice: nothing is predicted from it."""
    wanted: list[tuple[int, int, tuple[int, ...]]] = field(default_factory=list)
    """(question, choice, the choice's token ids)"""


def picks(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question]
) -> Generator[float, None, list[int]]:
    """The pick of each question; yields the share that is done after each batch. The active adapter answers.

    The caller may switch adapters between two batches, as long as the right one is active again before the next.
    """
    scores = [[0.0] * len(question.choices) for question in questions]
    requests = _requests(tokenizer, questions, int(model.config.max_position_embeddings))
    batches = by_length([len(request.ids) for request in requests], BATCH)
    for number, batch in enumerate(batches, start=1):
        _score(model, [requests[index] for index in batch], scores)
        yield number / len(batches)
    return [max(range(len(row)), key=row.__getitem__) for row in scores]


def _requests(tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question], room: int) -> list[_Request]:
    requests: dict[tuple[int, ...], _Request] = {}
    for number, question in enumerate(questions):
        prompt = tokenizer(question.prompt)["input_ids"]
        for at, choice in enumerate(question.choices):
            whole = tokenizer(f"{question.prompt} {choice}")["input_ids"]
            read = tuple(whole[-(room + 1) :][:-1])  # too long a prompt loses its beginning
            requests.setdefault(read, _Request(read)).wanted.append((number, at, tuple(whole[len(prompt) :])))
    return list(requests.values())


def _score(model: PreTrainedModel, requests: Sequence[_Request], scores: list[list[float]]) -> None:
    """Add up the log-likelihoods of each wanted choice."""
    longest = max(len(request.ids) for request in requests)
    ids = torch.zeros((len(requests), longest), dtype=torch.long)  # (B, T), padded on the right
    attention = torch.zeros_like(ids)
    for row, request in enumerate(requests):
        ids[row, : len(request.ids)] = torch.tensor(request.ids)
        attention[row, : len(request.ids)] = 1
    head = model.get_output_embeddings()
    assert head is not None
    with torch.inference_mode():
        hidden = model.base_model(
            input_ids=ids.to(model.device), attention_mask=attention.to(model.device), use_cache=False
        ).last_hidden_state  # (B, T, D)
        for row, request in enumerate(requests):
            most = max(len(choice) for _, _, choice in request.wanted)
            last = hidden[row, len(request.ids) - most : len(request.ids)]  # (most, D)
            likelihoods = torch.log_softmax(head(last).float(), dim=-1).cpu()  # (most, V)
            for number, at, choice in request.wanted:
                scores[number][at] = _sum(likelihoods[-len(choice) :], choice)


def _sum(likelihoods: Tensor, choice: tuple[int, ...]) -> float:
    """Of the tokens of a choice: likelihoods (n, V) of its n places."""
    return float(likelihoods.gather(1, torch.tensor(choice)[:, None]).sum())
