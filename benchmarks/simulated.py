"""Rounds of the real coordinator over simulated hospitals, in this process, at the real shapes of two models' adapters."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.aggregation.aggregator import Aggregator
from engine.federated.checkpoint import RunFolder
from engine.federated.coordinator import Coordinator, Position
from engine.federated.transport import Assessing, Evaluating, Training
from engine.federated.update import Assessment, Assignment, Evaluation, Update
from engine.manifest import Manifest
from engine.model.adapters import Adapter, AdapterBank, size_of
from engine.model.base import BaseModel
from engine.model.sources import ModelFolder
from engine.privacy.ledger import Ledgered
from engine.protocol import HospitalInfo, RoundFinished
from engine.settings import load_config

NOISE = 1e-3
PAIRS = 100
MIB = 1024**2
MODELS = {
    "SmolLM2": {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3},
    "Mistral": {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8},
}
"""Layers of the same shapes as SmolLM2-135M's and Mistral-7B's; rank 8 on q_proj and v_proj gives 1.8 and 13.0 MiB."""


class Simulated:
    """Hospitals that return the round's adapter with seeded noise, made when it is asked for."""

    def __init__(self, count: int) -> None:
        names = (f"H{number:04d}" for number in range(count))
        self._infos = tuple(HospitalInfo(name=name, train=PAIRS, validation=10, test=10) for name in names)
        self.seconds = self.cpu_seconds = 0.0
        """In making updates: no work of the coordinator's."""

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        """Who takes part, sorted by name."""
        return self._infos

    def train(self, assignment: Assignment) -> Training:
        """One update after the other."""
        for number, info in enumerate(self._infos):
            if not assignment.asks(info.name):
                continue
            begun, cpu_begun = time.monotonic(), time.process_time()
            adapter = _noisy(assignment.start, assignment.round * 10_000 + number)
            self.seconds += time.monotonic() - begun
            self.cpu_seconds += time.process_time() - cpu_begun
            yield Update(
                hospital=info.name,
                adapter=adapter,
                pairs=PAIRS,
                steps=1,
                loss=2.0 + number / 10_000,
                variance=0.1,
                tokens=100,
                seconds=0.0,
                round=assignment.round,
            )

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        """A loss each."""
        for number, name in enumerate(sorted(adapters)):
            yield Evaluation(name, 2.0 + number / 10_000, 10, 100)

    def assess(self, assessment: Assessment) -> Assessing:
        """Nobody judges."""
        yield from ()


@dataclass(frozen=True)
class Measured:
    """What the coordinator needed."""

    adapter_bytes: int
    seconds: float
    """Per round, without what making the updates took."""
    cpu_seconds: float
    """The same in processor time: what others do on the machine changes it little."""
    before_bytes: int
    """Resident before round 1."""
    peak_bytes: int
    """The largest resident memory from then on."""


def run_rounds(model: str, count: int, rounds: int, rules: Mapping[str, Any]) -> Measured:
    """A whole run, with weightings that ask nobody."""
    config = load_config(overrides={"training.rounds": rounds, "aggregation.weighting": "samples", **rules})
    bank = AdapterBank(_weightless(model), config.lora)
    simulated = Simulated(count)
    transport = Ledgered(simulated)
    names = tuple(info.name for info in transport.hospitals())
    manifest = Manifest(run="scale", config=config, hospitals=names, created=time.time(), rounds=rounds)
    position = Position(adapter=bank.initial(config.seed))
    before, begun = _begin_peak(), time.process_time()
    with RunFolder("scale") as folder:
        folder.write_manifest(manifest)
        aggregator = Aggregator(config, transport)
        coordinator = Coordinator(transport, bank, folder, manifest, position, aggregator, transport.ledger.close)
        took = sum(event.seconds for event in coordinator.rounds() if isinstance(event, RoundFinished))
    return Measured(
        adapter_bytes=size_of(position.adapter),
        seconds=(took - simulated.seconds) / rounds,
        cpu_seconds=(time.process_time() - begun - simulated.cpu_seconds) / rounds,
        before_bytes=before,
        peak_bytes=_memory("VmHWM"),
    )


def _weightless(model: str) -> BaseModel:
    """A base model of the real layers' shapes whose weights take no memory: each is one zero, seen from everywhere.

    The coordinator computes nothing with it; adapters are attached to it and have their real shapes.
    """
    with torch.device("meta"):
        shapes = LlamaForCausalLM(LlamaConfig(vocab_size=64, intermediate_size=64, **MODELS[model]))
    for module in shapes.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, torch.nn.Parameter(torch.zeros(1).expand(parameter.shape), requires_grad=False))
    folder = ModelFolder(name=model, path=Path(), source="folder", stored_bits=32, digest="", stored_bytes=0)
    return BaseModel(shapes, None, folder, load_config().model, "none", 0)


def _begin_peak() -> int:
    """Forget the peak so far (Linux); returns the resident bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(row: str) -> int:
    """A row of this process's memory in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{row}:"))


def _noisy(start: Adapter, seed: int) -> Adapter:
    generator = torch.Generator().manual_seed(seed)
    return {name: tensor + NOISE * torch.randn(tensor.shape, generator=generator) for name, tensor in start.items()}
