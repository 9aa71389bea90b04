"""What the model knows of medicine, before and after: multiple choice, and free answers to the hospitals' own test questions.

The pairs are read where they lie; of an answer only its ROUGE-L leaves this module.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from rouge_score.rouge_scorer import RougeScorer

from engine.benchmark.choice import TASKS, Question, picks
from engine.benchmark.public_data import evenly
from engine.benchmark.results import FreeText, Knowledge, TaskScore
from engine.benchmark.statistics import wilson
from engine.benchmark.suite import DECODE, FORWARD, Item, Measuring, NotMeasured, Subject, Tick
from engine.data.pairs import TEST, Pair
from engine.data.partition import read_partition
from engine.jobs.model import ensure_serving
from engine.jobs.served import Adapters
from engine.model.generate import Sampling, generate
from engine.model.serving import Serving
from engine.model.template import prompt_ids
from engine.protocol import BASE, GLOBAL, ChatTurn

PROTOCOL = "zero-shot, plain prompt, highest sum of the answer's token log-likelihoods (lm-evaluation-harness: pubmedqa, mmlu)"
ADAPTERS = (BASE, GLOBAL)
SLOT = "benchmark"
WRITING = "free answers to test questions"
ANSWER_TOKENS = 96
QUESTION_TOKENS = {"PubMedQA": 400.0, "MMLU medical": 110.0}


def items(subject: Subject) -> list[Item]:
    """See `measure`."""
    items = [
        Item(_named(task, adapter), FORWARD * (subject.request.items or 500) * QUESTION_TOKENS[task])
        for task in TASKS
        for adapter in ADAPTERS
    ]
    answers = subject.request.answers * len(subject.names)
    return [*items, Item(WRITING, answers * ANSWER_TOKENS * DECODE)]


def measure(subject: Subject) -> Measuring[Knowledge]:
    """Multiple choice where the public sets are there, and ROUGE-L where hospitals have test pairs.

    Raises:
        NotMeasured: neither could be done.
        DataError, ModelError: data or adapter of the run cannot be read any more.
    """
    subject.bank.put(SLOT, subject.shared)
    choices, missing = [], []
    for task in TASKS:
        try:
            questions = TASKS[task](subject.request.public_data)
        except NotMeasured as error:
            missing.append(error)
            continue
        for adapter in ADAPTERS:
            choices.append((yield from _choices(subject, task, adapter, questions)))
    written = yield from _free_text(subject)
    if not choices and not written:
        raise missing[0]
    return Knowledge(choices=tuple(choices), free_text=tuple(written), protocol=PROTOCOL)


def _choices(subject: Subject, task: str, adapter: str, questions: Sequence[Question]) -> Measuring[TaskScore]:
    bank, asked = subject.bank, evenly(questions, subject.request.items)
    slot = BASE if adapter == BASE else SLOT
    bank.use(slot, training=False)
    work = picks(bank.base.model, bank.base.tokenizer, asked)
    while True:
        try:
            yield Tick(_named(task, adapter), next(work))
        except StopIteration as end:
            return _score(task, adapter, asked, end.value, len(questions))
        bank.use(slot, training=False)


def _score(task: str, adapter: str, asked: Sequence[Question], picked: Sequence[int], available: int) -> TaskScore:
    correct = sum(question.answer == pick for question, pick in zip(asked, picked, strict=True))
    low, high = wilson(correct, len(asked))
    return TaskScore(
        task=task,
        adapter=adapter,
        items=len(asked),
        available=available,
        correct=correct,
        low=low,
        high=high,
        chance=fmean(1 / len(question.choices) for question in asked),
        majority=Counter(question.answer for question in asked).most_common(1)[0][1] / len(asked),
    )


# --- free answers --------------------------------------------------------------------------------------------------------------


def _free_text(subject: Subject) -> Measuring[list[FreeText]]:
    """Both adapters answer the same test questions, in one batch."""
    questions = {
        name: evenly([pair for pair in read_partition(subject.data, name) if pair.split == TEST], subject.request.answers)
        for name in subject.names
        if subject.request.answers
    }
    questions = {name: pairs for name, pairs in questions.items() if pairs}
    total, done = sum(len(pairs) for pairs in questions.values()), 0
    if not total:
        return []
    found = []
    serving = yield from _serving(subject)
    for name, pairs in questions.items():
        scores: list[list[float]] = []
        for pair in pairs:
            scores.append((yield from _rouge(subject, serving, pair)))
            done += 1
            yield Tick(WRITING, done / total)
        for adapter, values in zip(ADAPTERS, zip(*scores, strict=True), strict=True):
            found.append(
                FreeText(hospital=name, adapter=adapter, answers=len(pairs), tokens=ANSWER_TOKENS, rouge_l=fmean(values))
            )
    return found


def _serving(subject: Subject) -> Measuring[Serving]:
    return (yield from ensure_serving(subject.engine, subject.bank))


def _rouge(subject: Subject, serving: Serving, pair: Pair) -> Measuring[list[float]]:
    """ROUGE-L F1 of each adapter's greedy answer to one question."""
    served = [Adapters(subject.engine, subject.request.run).find(name)[0] for name in ADAPTERS]
    tokenizer = serving.bank.base.tokenizer
    prompt = prompt_ids(tokenizer, [ChatTurn(role="user", text=pair.question)])
    answers: list[list[int]] = [[] for _ in served]
    for item in generate(serving.decoder.start(served), prompt, Sampling(max_tokens=ANSWER_TOKENS), serving.ends):
        if item is not None and item[1] is not None:
            answers[item[0]].append(item[1])
        yield None
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    texts = [str(tokenizer.decode(ids, skip_special_tokens=True)) for ids in answers]
    return [float(scorer.score(pair.answer, text)["rougeL"].fmeasure) for text in texts]


def _named(task: str, adapter: str) -> str:
    return f"{task}, {adapter}"
