"""One hospital: its pairs, its local training, its evaluations.

A run opens a partition's pairs here and nowhere else. What leaves it is an `Update`, an `Evaluation`, a `Verdict`, or a count.
All work methods are generators that pause after every micro-step, so that a chat can be answered in between.
"""

from __future__ import annotations

import math
import statistics
import time
import zlib
from collections.abc import Generator, Iterable
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import torch

from engine.aggregation.candidates import Stack, Tally
from engine.data.batches import Batch, by_length, collate, length_bucketed
from engine.data.pairs import TEST, TRAIN, VALIDATION, Pair
from engine.data.partition import read_partition
from engine.federated.local import LocalSteps, truncated
from engine.federated.slices import draw, pools
from engine.federated.update import VOTER_PAIRS, Assessment, Assignment, Diverged, Evaluation, Update, Verdict
from engine.model.adapters import TRAINING, Adapter, AdapterBank
from engine.model.loss import answer_nll
from engine.model.template import Example, encode_pair
from engine.protocol import AnyEvent, HospitalInfo, StepDone, TrainingStarted
from engine.settings import RunConfig

EVALUATION_BATCH = 8
EVALUATION_SLOT = "evaluation"

Work = Generator[AnyEvent | None, None, Update]
T = TypeVar("T")


class Hospital:
    """A data owner in a run."""

    def __init__(self, name: str, folder: Path, config: RunConfig, pairs: list[Pair] | None = None) -> None:
        """Read the partition, unless its `pairs` are given. Raises DataError naming the file when it cannot be used."""
        self.name = name
        self._config = config
        pairs = read_partition(folder, name) if pairs is None else pairs
        by_split: dict[str, list[Pair]] = {split: [p for p in pairs if p.split == split] for split in (TRAIN, VALIDATION, TEST)}
        self._train_pairs = _spread(by_split[TRAIN], config.data.max_pairs or len(by_split[TRAIN]))
        self._validation_pairs = _spread(by_split[VALIDATION], config.data.validation_pairs)
        self._judged_pairs = by_split[VALIDATION]
        self._test_pairs = by_split[TEST]
        self._pools = {**pools(self._judged_pairs, self._seed("pools", 0)), "all": range(len(self._judged_pairs))}
        self._rank = config.lora.hospital_ranks.get(name, config.lora.rank)
        self.info = HospitalInfo(
            name=name, train=len(self._train_pairs), validation=len(by_split[VALIDATION]), test=len(by_split[TEST])
        )

    def attach(self, bank: AdapterBank) -> None:
        """Take a loaded model. Comes before every work method."""
        self._bank = bank
        for name in ("_train", "_validation", "_judged", "_test"):
            self.__dict__.pop(name, None)  # token ids belong to a model

    @cached_property
    def _train(self) -> list[Example]:
        return self._encode(self._train_pairs)

    @cached_property
    def _validation(self) -> list[Example]:
        return self._encode(self._validation_pairs)

    @cached_property
    def _judged(self) -> list[Example]:
        """All validation pairs: candidates are tried on parts of them."""
        return self._encode(self._judged_pairs)

    @cached_property
    def _test(self) -> list[Example]:
        """Never read during a run."""
        return self._encode(self._test_pairs)

    @property
    def steps_per_round(self) -> int:
        """Optimizer steps in one round."""
        training = self._config.training
        one_pass = math.ceil(len(self._train) / (training.batch_size * training.gradient_accumulation))
        return training.local_steps or one_pass

    @property
    def _batches_per_round(self) -> int:
        return self.steps_per_round * self._config.training.gradient_accumulation

    @property
    def answer_share(self) -> float:
        """Answer tokens per token of the training pairs."""
        return sum(one.answer_length for one in self._train) / sum(len(one.ids) for one in self._train)

    def train(self, assignment: Assignment) -> Work:
        """Train one round. Yields None after each micro-step and a StepDone after each optimizer step."""
        settings, steps, number = self._config.training, self.steps_per_round, assignment.round
        yield TrainingStarted(round=number, hospital=self.name, steps=steps)
        start = truncated(assignment.start, assignment.held + self._rank)
        local = LocalSteps(self._bank, settings, assignment, start, self.name)
        batches = self._batches(first=(number - 1) * self._batches_per_round)
        random = torch.Generator().manual_seed(self._seed("dropout", number))
        losses: list[float] = []
        tokens, busy = 0, 0.0
        for step in range(1, steps + 1):
            group = [next(batches) for _ in range(settings.gradient_accumulation)]
            answer_tokens = sum(int(batch.predicts.sum()) for batch in group)
            loss = 0.0
            for batch in group:
                started = time.monotonic()
                loss += self._micro_step(batch, answer_tokens, random)
                tokens += batch.tokens
                busy += time.monotonic() - started
                yield None
            local.step((number - 1) * steps + step, settings.rounds * steps)
            losses.append(loss)
            yield StepDone(round=number, hospital=self.name, step=step, steps=steps, loss=loss, tokens=tokens, seconds=busy)
        return Update(
            hospital=self.name,
            adapter=self._bank.get(TRAINING),
            pairs=len(self._train),
            steps=steps,
            loss=statistics.fmean(losses),
            variance=statistics.pvariance(losses),
            tokens=tokens,
            seconds=busy,
            round=number,
            gradient=local.mean_gradient(),
        )

    def evaluate(self, adapter: Adapter) -> Generator[None, None, Evaluation]:
        """Loss of an adapter on this hospital's validation pairs. Yields after each batch."""
        return (yield from self._loss_on(self._validation, adapter))

    def examine(self, adapter: Adapter, pairs: int = 0) -> Generator[None, None, Evaluation]:
        """Loss of an adapter on this hospital's test pairs, for after the run: on all, or on `pairs` evenly spread ones."""
        return (yield from self._loss_on(_spread(self._test, pairs or len(self._test)), adapter))

    def trained_on(self, rounds: Iterable[int]) -> list[Pair]:
        """Pairs that its batches drew in these rounds, for after the run: fewer than it has, where steps are few."""
        count = self._batches_per_round
        batches = chain.from_iterable(islice(self._order((number - 1) * count), count) for number in rounds)
        return [self._train_pairs[index] for index in sorted(set(chain.from_iterable(batches)))]

    def _loss_on(self, examples: list[Example], adapter: Adapter) -> Generator[None, None, Evaluation]:
        total, count = 0.0, 0
        self._bank.put(EVALUATION_SLOT, adapter)
        for indices in by_length([len(example.ids) for example in examples], EVALUATION_BATCH):
            batch = self._collate([examples[index] for index in indices])
            with torch.inference_mode():
                self._bank.use(EVALUATION_SLOT, training=False)
                nll = answer_nll(self._bank.base.model, batch)
            total += float(nll.double().sum())
            count += nll.numel()
            yield None
        return Evaluation(hospital=self.name, loss=total / count, pairs=len(examples), tokens=count)

    def assess(self, assessment: Assessment) -> Generator[None, None, Verdict]:
        """Try candidates on a slice of the validation pairs. Yields after each batch; only sums over pairs leave.

        With fewer than `VOTER_PAIRS` pairs nothing is tried or said: the verdict is of 0 pairs.
        """
        pool, seed = self._pools[assessment.part], self._seed(assessment.part, assessment.round)
        drawn = draw(pool, self._judging_cost, assessment.pairs, assessment.tokens[self.name], seed)
        if len(drawn) < VOTER_PAIRS:
            return Verdict(self.name, (), (), (), (), pairs=0, tokens=0, seconds=0.0)
        stack = Stack(self._bank, assessment.adapters)
        tally = Tally(assessment)
        for batch in self._judging_batches(drawn):
            started = time.monotonic()
            tally.add(stack, self._collate([self._judged[index] for index in batch]))
            tally.seconds += time.monotonic() - started
            yield None
        return tally.verdict(self.name)

    def _judging_batches(self, indices: list[int]) -> list[list[int]]:
        lengths = [len(self._judged[index].ids) for index in indices]
        return [[indices[row] for row in rows] for rows in by_length(lengths, EVALUATION_BATCH)]

    def _judging_cost(self, indices: list[int]) -> int:
        """Tokens of these validation pairs in batches, padding included."""
        return sum(len(batch) * len(self._judged[batch[-1]].ids) for batch in self._judging_batches(indices))

    def _micro_step(self, batch: Batch, answer_tokens: int, random: torch.Generator) -> float:
        """Forward and backward of one batch; gradients add up so that the group's loss is a mean over its answer tokens."""
        self._bank.use(TRAINING, training=True)
        with torch.random.fork_rng(devices=_cuda_devices()):
            # Dropout draws from the global generator, which chats and other hospitals share: give it a state of our own.
            torch.manual_seed(int(torch.randint(2**62, (1,), generator=random)))
            loss = answer_nll(self._bank.base.model, batch).sum() / answer_tokens
            loss.backward()  # type: ignore[no-untyped-call]
        value = float(loss.detach())
        if not math.isfinite(value):
            raise Diverged
        return value

    def _batches(self, first: int) -> Generator[Batch, None, None]:
        """Micro-batches of the whole run in order, from number `first` on."""
        for indices in self._order(first):
            yield self._collate([self._train[index] for index in indices])

    def _order(self, first: int) -> Generator[list[int], None, None]:
        """Which pairs make up each micro-batch: passes over the pairs, each shuffled anew."""
        size = self._config.training.batch_size
        lengths = [len(example.ids) for example in self._train]
        per_pass = math.ceil(len(lengths) / size)
        number, skip = divmod(first, per_pass)
        while True:
            order = length_bucketed(lengths, size, torch.Generator().manual_seed(self._seed("batches", number)))
            yield from order[skip:]
            number, skip = number + 1, 0

    def _seed(self, purpose: str, number: int) -> int:
        """A seed that depends on the run's seed, this hospital, what it is for and the round or pass; on nothing else."""
        return zlib.crc32(f"{self._config.seed}/{self.name}/{purpose}/{number}".encode())

    def _encode(self, pairs: list[Pair]) -> list[Example]:
        tokenizer, limit = self._bank.base.tokenizer, self._config.training.max_tokens
        return [encode_pair(tokenizer, pair.question, pair.answer, limit) for pair in pairs]

    def _collate(self, examples: list[Example]) -> Batch:
        return collate(examples, int(self._bank.base.tokenizer.pad_token_id))


def pooled(name: str, hospitals: list[Hospital], config: RunConfig) -> Hospital:
    """All training pairs that the hospitals use, in one place: what a federation avoids, as a reference to compare it with."""
    pairs = [pair for hospital in hospitals for pair in (*hospital._train_pairs, *hospital._validation_pairs)]
    return Hospital(name, Path(), config, pairs)


def _spread(pairs: list[T], count: int) -> list[T]:
    """At most `count` pairs, evenly spread over the list so that all its topics are still met."""
    if count >= len(pairs):
        return pairs
    return [pairs[at * len(pairs) // count] for at in range(count)]


def _cuda_devices() -> list[int]:
    return list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
