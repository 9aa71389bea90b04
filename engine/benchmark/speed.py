"""How close training comes to what the processor can do with this model's matrix products alone.

Model FLOPs are those of the linear layers that a training token really needs: forward and input gradient of the frozen matrices
(2 + 2 per weight; their own gradient is never computed), all three products of the adapter's, and the vocabulary projection on
answer tokens. Attention, norms and dropout are overhead here. The matrix rate is measured in the same process, in turns with
training steps, on matrices of the model's own shapes and precision and with as many rows as a batch has tokens.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
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
    hospital = _hospital(subject)
    products = of_model(subject.bank)
    rates, flops_per_token, matrix = [], [], []
    tokens, seconds, answers = 0, 0.0, hospital.answer_share
    accumulated = subject.config.training.gradient_accumulation
    for event in hospital.train(Assignment(round=1, start=subject.bank.initial(subject.config.seed))):
        if not isinstance(event, StepDone):
            yield None
            continue
        batch, took = event.tokens - tokens, event.seconds - seconds
        tokens, seconds = event.tokens, event.seconds
        if event.step > WARM_UP:
            rates.append(batch / took)
            flops_per_token.append(products.flops(batch, round(batch * answers)) / batch)
            matrix.append(matrix_rate(products, batch // accumulated, subject.bank))
        yield Tick(NAME, event.step / event.steps)
    return replace(
        section,
        flops_per_token=fmean(flops_per_token),
        measured_tokens_per_second=spread(rates),
        matrix_flops=median(matrix),
    )


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


def _hospital(subject: Subject) -> Hospital:
    """The first hospital, set to a few steps."""
    training = replace(subject.config.training, rounds=1, local_steps=STEPS)
    hospital = Hospital(subject.names[0], subject.data, replace(subject.config, training=training))
    hospital.attach(subject.bank)
    return hospital
