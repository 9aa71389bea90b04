"""How small an adapter is beside its base model: of the run's real tensors, and of the reference model's shapes."""

from __future__ import annotations

from engine.benchmark.results import Efficiency, ModelSizes
from engine.benchmark.suite import Item, Measuring, Subject
from engine.model.adapters import load_adapter, size_of
from engine.model.figures import Figures, count, mistral_7b
from engine.protocol import GLOBAL
from engine.settings import REFERENCE

CLAIMED_BASE_BYTES = 7 * 10**9
"""What the showcase compares the adapter with."""
BLOCK, NESTED_BLOCK = 64, 256
"""Weights that share a scale in NF4, and scales that share one under double quantization (Dettmers et al. 2023)."""


def items(subject: Subject) -> list[Item]:
    """See `measure`."""
    return [Item("counting weights", 1000.0)]


def measure(subject: Subject) -> Measuring[Efficiency]:
    """Count the run's saved adapter, and the reference on the meta device: no weights, no memory."""
    yield None
    return Efficiency(run=_of_run(subject), reference=reference(), claimed_base_bytes=CLAIMED_BASE_BYTES)


def _of_run(subject: Subject) -> ModelSizes:
    model = subject.record.model
    assert model is not None
    _, adapter = load_adapter(subject.path / GLOBAL)
    return ModelSizes(
        name=model.name,
        parameters=model.parameters,
        trainable=sum(tensor.numel() for tensor in adapter.values()),
        stored_bytes=model.stored_bytes or None,
        loaded_bytes=model.base_bytes,
        loaded_as=model.quantization,
        bytes_16_bit=2 * model.parameters,
        adapter_bytes=size_of(adapter),
    )


def reference() -> ModelSizes:
    """The reference set-up: Mistral-7B with an adapter of rank 8 on q_proj and v_proj, NF4 as loaded."""
    figures = count(mistral_7b(), REFERENCE.lora)
    return ModelSizes(
        name=REFERENCE.model.source.rsplit("/", 1)[-1],
        parameters=figures.parameters,
        trainable=figures.trainable,
        stored_bytes=2 * figures.parameters,
        loaded_bytes=nf4_bytes(figures),
        loaded_as="NF4 4-bit with double quantization, the rest bf16",
        bytes_16_bit=2 * figures.parameters,
        adapter_bytes=figures.adapter_bytes,
    )


def nf4_bytes(figures: Figures) -> int:
    """Bytes of a model in NF4: half a byte a weight of the decoder matrices, their scales in 8 bits with a second fp32 scale.

    Embedding, head and norms stay at 16 bits. Tables that do not grow with the model (a few kB) are left out.
    """
    packed = 2 * (figures.parameters - figures.packed_elements)
    scales = packed // BLOCK
    return packed // 2 + scales + 4 * (scales // NESTED_BLOCK) + 2 * (figures.parameters - packed)
