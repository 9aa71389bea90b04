"""The arms of `peers.py`: a federated run by this engine, and by transformers' `Trainer` with the base loaded for each client."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from msgspec.structs import replace
from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments

from engine import locations
from engine.aggregation.aggregator import Aggregator, Round
from engine.aggregation.memory import Memory
from engine.benchmark.speed import in_turns
from engine.data.pairs import TRAIN
from engine.data.partition import list_hospitals, read_partition
from engine.federated.hospital import Hospital
from engine.federated.local import learning_rate_scale
from engine.federated.update import Assignment, Update
from engine.model.adapters import Adapter, AdapterBank, peft_config
from engine.model.base import BaseModel, cpu_has_bf16, load_base
from engine.model.sources import ModelFolder, resolve
from engine.model.template import Example, encode_pair
from engine.protocol import StepDone
from engine.settings import RunConfig

T = TypeVar("T")
IGNORED = -100
"""Label of a token that the loss does not count."""


class Stopwatch:
    """Tokens of texts and seconds from the end of a local training's first step to the end of its last."""

    def __init__(self) -> None:
        self.tokens, self.seconds, self._at = 0, 0.0, 0.0

    def step_ended(self, number: int, tokens: int) -> None:
        """A step with so many tokens has ended; numbers begin with 1 in each local training."""
        now = time.perf_counter()
        if number > 1:
            self.tokens, self.seconds = self.tokens + tokens, self.seconds + now - self._at
        self._at = now

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


def fresh_adapter(config: RunConfig) -> Adapter:
    """The adapter that all arms start from."""
    start = _bank(config).initial(config.seed)
    gc.collect()
    return start


def test_loss(config: RunConfig, adapter: Adapter) -> float:
    """Mean over hospitals of the loss on test pairs."""
    hospitals = _hospitals(config, _bank(config))
    return sum(_finish(hospital.examine(adapter)).loss for hospital in hospitals) / len(hospitals)


def share_of_matrix_rate(config: RunConfig) -> float:
    """As the speed suite measures it: training steps in turns with matrix products."""
    bank = _bank(config)
    hospital = _hospitals(replace(config, training=replace(config.training, rounds=1, local_steps=12)), bank)[0]
    return _finish(in_turns(hospital, bank, config.training.gradient_accumulation)).share


# --- this engine ---------------------------------------------------------------------------------------------------------------


def on_engine(config: RunConfig, start: Adapter) -> tuple[Adapter, float]:
    """The final adapter and tokens a second."""
    bank = _bank(config)
    hospitals, adapter, watch = _hospitals(config, bank), start, Stopwatch()
    aggregator = Aggregator(config, None)
    for number in range(1, config.training.rounds + 1):
        updates = [_trained(hospital, Assignment(round=number, start=adapter), config, watch) for hospital in hospitals]
        adapter = _finish(aggregator.aggregate(Round(number, adapter, updates), Memory(), {})).adapter
    return adapter, watch.rate


def _trained(hospital: Hospital, task: Assignment, config: RunConfig, watch: Stopwatch) -> Update:
    steps, accumulated = hospital.steps_per_round, config.training.gradient_accumulation
    batches = hospital._batches(first=(task.round - 1) * steps * accumulated)  # the same again, to count their tokens
    tokens = [sum(int(next(batches).attention.sum()) for _ in range(accumulated)) for _ in range(steps)]
    work = hospital.train(task)
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            return end.value
        if isinstance(event, StepDone):
            watch.step_ended(event.step, tokens[event.step - 1])


def _bank(config: RunConfig) -> AdapterBank:
    *_, base = load_base(config.model)
    assert isinstance(base, BaseModel)
    return AdapterBank(base, config.lora)


def _hospitals(config: RunConfig, bank: AdapterBank) -> list[Hospital]:
    folder = locations.data_folder(config.data.folder)
    hospitals = [Hospital(name, folder, config) for name in list_hospitals(folder)]
    for hospital in hospitals:
        hospital.attach(bank)
    return hospitals


def _finish(work: Generator[Any, None, T]) -> T:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


# --- what people use now -------------------------------------------------------------------------------------------------------


def on_trainer(config: RunConfig, start: Adapter, *, to_longest: bool) -> tuple[Adapter, float]:
    """The final adapter and tokens a second."""
    *_, folder = resolve(config.model.source, cuda=False)
    assert isinstance(folder, ModelFolder)
    data, shared, watch = locations.data_folder(config.data.folder), start, Stopwatch()
    for number in range(1, config.training.rounds + 1):
        updates, counts = [], []
        for name in list_hospitals(data):
            client = _Client(config, folder.path, data, name)
            updates.append(client.train(shared, number, watch, to_longest=to_longest))
            counts.append(len(client.examples))
        pairs = list(zip(updates, counts, strict=True))
        shared = {key: sum(update[key] * count for update, count in pairs) / sum(counts) for key in shared}
    return shared, watch.rate


class _Client:
    """One hospital in one round: loads the base and its pairs as a FlowerTune client does."""

    def __init__(self, config: RunConfig, model: Path, data: Path, name: str) -> None:
        self._config = config
        fast = config.model.quantization == "auto" and cpu_has_bf16()
        self._tokenizer = AutoTokenizer.from_pretrained(model)
        base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16 if fast else torch.float32)
        self._model = get_peft_model(base, peft_config(config.lora))
        pairs = [pair for pair in read_partition(data, name) if pair.split == TRAIN]
        limit = config.training.max_tokens
        self.examples = [encode_pair(self._tokenizer, pair.question, pair.answer, limit) for pair in pairs]

    def train(self, shared: Adapter, number: int, watch: Stopwatch, *, to_longest: bool) -> Adapter:
        """The adapter after this round's steps."""
        training = self._config.training
        set_peft_model_state_dict(self._model, shared)
        parameters = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=training.learning_rate, weight_decay=training.weight_decay)
        before, total = (number - 1) * training.local_steps, training.rounds * training.local_steps
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_scale(before + step + 1, total, training.warmup_fraction)
        )
        collator = _Collator(int(self._tokenizer.pad_token_id), 0 if to_longest else training.max_tokens)
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                model=self._model,
                args=self._arguments(folder, number),
                train_dataset=self.examples,
                data_collator=collator,
                optimizers=(optimizer, schedule),
                callbacks=[_Clock(watch, collator)],
            )
            trainer.train()
        state = get_peft_model_state_dict(self._model)
        return {key: state[key].detach().float().clone() for key in sorted(state)}

    def _arguments(self, folder: str, number: int) -> TrainingArguments:
        training = self._config.training
        return TrainingArguments(
            output_dir=folder,
            max_steps=training.local_steps,
            per_device_train_batch_size=training.batch_size,
            gradient_accumulation_steps=training.gradient_accumulation,
            max_grad_norm=training.gradient_clip,
            seed=1000 * self._config.seed + number,
            remove_unused_columns=False,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
        )


class _Collator:
    """Pads on the right, to the longest or to a fixed length, and remembers how many tokens each batch has."""

    def __init__(self, pad: int, length: int) -> None:
        self._pad, self._length = pad, length
        self.tokens: list[int] = []

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        length = self._length or max(len(example.ids) for example in examples)
        ids = torch.full((len(examples), length), self._pad)
        labels, attention = torch.full_like(ids, IGNORED), torch.zeros_like(ids)
        for row, example in enumerate(examples):
            end = len(example.ids)
            ids[row, :end] = torch.tensor(example.ids)
            attention[row, :end] = 1
            labels[row, example.prompt_length : end] = ids[row, example.prompt_length : end]
        self.tokens.append(int(attention.sum()))
        return {"input_ids": ids, "attention_mask": attention, "labels": labels}


class _Clock(TrainerCallback):
    """Tells the stopwatch of each optimizer step."""

    def __init__(self, watch: Stopwatch, collator: _Collator) -> None:
        self._watch, self._collator = watch, collator

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Called by the trainer."""
        accumulated = args.gradient_accumulation_steps
        part = self._collator.tokens[(state.global_step - 1) * accumulated : state.global_step * accumulated]
        self._watch.step_ended(state.global_step, sum(part))
