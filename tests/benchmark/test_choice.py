"""Multiple choice: the harness's prompts word for word, and picks equal to scoring every choice on its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.benchmark.choice import Question, mmlu, picks, pubmedqa
from engine.benchmark.suite import NotMeasured
from engine.model.adapters import AdapterBank
from tests.engine.conftest import load_tiny


@pytest.fixture(scope="module")
def bank(tiny_model: Path) -> AdapterBank:
    """Only read."""
    return load_tiny(tiny_model, quantization="none")


def picked(bank: AdapterBank, questions: list[Question]) -> list[int]:
    work = picks(bank.base.model, bank.base.tokenizer, questions)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return list(end.value)


def alone(bank: AdapterBank, question: Question, room: int) -> int:
    """The pick when each choice is read by itself, without batches and without sharing."""
    scores = []
    for choice in question.choices:
        prompt = bank.base.tokenizer(question.prompt)["input_ids"]
        whole = bank.base.tokenizer(f"{question.prompt} {choice}")["input_ids"]
        tail = len(whole) - len(prompt)
        whole = whole[-(room + 1) :]
        with torch.no_grad():
            likelihoods = bank.base.model(torch.tensor([whole[:-1]])).logits[0].log_softmax(-1)
        scores.append(sum(float(likelihoods[at - 1, whole[at]]) for at in range(len(whole) - tail, len(whole))))
    return scores.index(max(scores))


def test_prompts_are_the_harness_own(public_data: str) -> None:
    assert pubmedqa(public_data)[0].prompt == "Abstract: It was tried.\nIt did.\nQuestion: Does yes help?\nAnswer:"
    assert mmlu(public_data)[0].prompt == (
        "The following are multiple choice questions (with answers) about clinical knowledge.\n\n"
        "What is the femur?\nA. a bone\nB. a muscle\nC. a nerve\nD. a gland\nAnswer:"
    )


def test_only_the_official_test_is_asked(public_data: str) -> None:
    assert [question.answer for question in pubmedqa(public_data)] == [0, 1, 2]


def test_picks_are_those_of_each_choice_scored_alone(bank: AdapterBank) -> None:
    choices = [("yes", "no", "maybe"), ("A", "B"), ("a disease of the airways", "a muscle", "gout")]
    questions = [
        Question(prompt=f"{'Much is known of it. ' * at}What is asthma?", choices=choices[at % 3], answer=0) for at in range(12)
    ]

    found = picked(bank, questions)

    room = bank.base.model.config.max_position_embeddings
    assert found == [alone(bank, question, room) for question in questions]
    assert len(set(found)) > 1


def test_a_prompt_that_is_too_long_loses_its_beginning(bank: AdapterBank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank.base.model.config, "max_position_embeddings", 24)
    question = Question(
        prompt="It begins with this. " * 20 + "What is asthma?", choices=("a disease of the airways", "gout"), answer=0
    )

    assert picked(bank, [question]) == [alone(bank, question, room=24)]


def test_a_set_that_is_not_there_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match=r"mmlu_medical\.jsonl\.gz is not there"):
        mmlu(str(tmp_path))
