"""How close training comes to what the processor can do with this model's matrix products alone.

Model FLOPs are those of the linear layers that a training token really needs: forward and input gradient of the frozen matrices
(2 + 2 per weight; their own gradient is never computed), all three products of the adapter's, and the vocabulary projection on
answer tokens. Attention, norms and dropout are overhead here. The matrix rate is measured in the same process, in turns with
training steps, on matrices of the model's own shapes and precision and with as many rows as a batch has tokens.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import fmean, median

import torch
from msgspec.structs import replace
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from engine.benchmark import recorded
from engine.benchmark.recorded import spread
from engine.benchmark.results import Speed
from engine.benchmark.suite import Item, Measuring, NotMeasured, Subject, Tick
from engine.federated.hospital import Hospital
from engine.federated.update import Assignment
from engine.model.adapters import AdapterBank
from engine.protocol import StepDone

STEPS = 8
WARM_UP = 2
NAME = "training steps in turns with matrix products"
Shape = tuple[int, int]
"""(out, in) of a linear layer."""


@dataclass(frozen=True)
class Products:
    """The linear layers of a model by shape: how many of each there are."""

    frozen: Counter[Shape]
    adapter: int
    """Weights of the adapter."""
    head: Shape

    def flops(self, tokens: int, answer_tokens: int) -> float:
        """Of one training step, forward and backward."""
        frozen = sum(count * out * into for (out, into), count in self.frozen.items())
        return 4.0 * tokens * frozen + 6.0 * tokens * self.adapter + 4.0 * answer_tokens * self.head[0] * self.head[1]


def items(subject: Subject) -> list[Item]:
    """See `measure`."""
    if subject.request.quick:
        return [Item("reading the record", 0.0)]
    training = subject.config.training
    step = training.batch_size * training.gradient_accumulation * subject.pair_tokens
    return [Item(NAME, 1.5 * STEPS * step)]


def measure(subject: Subject) -> Measuring[Speed]:
    """The record's figures, and in a full benchmark the share of the matrix rate.

    Raises:
        DataError: the run's data cannot be read any more.
        NotMeasured: the record holds no training.
    """
    section = recorded.speed(subject.record)
    if section is None:
        raise NotMeasured("the record of the run holds no training.", where=subject.request.run)
    if subject.request.quick:
        yield None
        return section
    training = replace(subject.config.training, rounds=1, local_steps=STEPS)
    hospital = Hospital(subject.names[0], subject.data, replace(subject.config, training=training))
    hospital.attach(subject.bank)
    pace = yield from in_turns(hospital, subject.bank, training.gradient_accumulation)
    return replace(
        section,
        flops_per_token=fmean(pace.flops_per_token),
        measured_tokens_per_second=spread(pace.tokens_per_second),
        matrix_flops=median(pace.matrix_flops),
    )


@dataclass
class Pace:
    """What each step measured after the first two."""

    tokens_per_second: list[float] = field(default_factory=list)
    flops_per_token: list[float] = field(default_factory=list)
    matrix_flops: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """How much of the matrix-product rate training reaches."""
        return median(self.tokens_per_second) * fmean(self.flops_per_token) / median(self.matrix_flops)


def in_turns(hospital: Hospital, bank: AdapterBank, accumulated: int) -> Measuring[Pace]:
    """One round of a hospital's training, after each step the matrix products of a micro-step."""
    products, pace, answers = of_model(bank), Pace(), hospital.answer_share
    tokens, seconds = 0, 0.0
    for event in hospital.train(Assignment(round=1, start=bank.initial(seed=0))):
        if not isinstance(event, StepDone):
            yield None
            continue
        batch, took = event.tokens - tokens, event.seconds - seconds
        tokens, seconds = event.tokens, event.seconds
        if event.step > WARM_UP:
            pace.tokens_per_second.append(batch / took)
            pace.flops_per_token.append(products.flops(batch, round(batch * answers)) / batch)
            pace.matrix_flops.append(matrix_rate(products, batch // accumulated, bank))
        yield Tick(NAME, event.step / event.steps)
    return pace


def of_model(bank: AdapterBank) -> Products:
    """Count the linear layers that a forward pass goes through."""
    head = bank.base.model.get_output_embeddings()
    assert head is not None
    layers = (module for module in bank.base.model.modules() if isinstance(module, nn.Linear) and module is not head)
    adapters = {id(part) for module in bank.base.model.modules() if isinstance(module, LoraLayer) for part in _parts(module)}
    frozen = Counter((layer.out_features, layer.in_features) for layer in layers if id(layer) not in adapters)
    return Products(frozen=frozen, adapter=bank.trainable, head=(head.out_features, head.in_features))


def matrix_rate(products: Products, rows: int, bank: AdapterBank) -> float:
    """FLOPs a second of the frozen layers' products, forward and backward, with nothing in between."""
    model = bank.base.model
    precision = model.dtype
    work = []
    for (out, into), count in products.frozen.items():
        weight = torch.randn(out, into, device=model.device, dtype=precision)
        forward, backward = torch.randn(rows, into, device=model.device), torch.randn(rows, out, device=model.device)
        work.append((weight, forward.to(precision), backward.to(precision), count))
    _multiply(work)  # the first use of a shape prepares it
    started = time.perf_counter()
    _multiply(work)
    seconds = time.perf_counter() - started
    return 4.0 * rows * sum(count * out * into for (out, into), count in products.frozen.items()) / seconds


def _multiply(work: list[tuple[Tensor, Tensor, Tensor, int]]) -> None:
    for weight, forward, backward, count in work:
        for _ in range(count):
            nn.functional.linear(forward, weight)
            torch.matmul(backward, weight)
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _parts(layer: LoraLayer) -> list[nn.Module]:
    """The low-rank layers inside an adapted one."""
    return [part for parts in (layer.lora_A, layer.lora_B) for part in parts.values()]
