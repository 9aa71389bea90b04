"""What an adapter of a given shape costs on a given architecture, counted on the meta device: no weights, no memory.

This is how the reference set-up's figures are proven on a machine that could never load it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from peft import get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM, MistralConfig, PretrainedConfig

from engine.model.adapters import peft_config
from engine.settings import LoraSettings


@dataclass(frozen=True)
class Figures:
    """Counts of weights and bytes."""

    parameters: int
    """Weights of the base model."""
    packed_elements: int
    """What a library counts when every decoder matrix is stored as 4-bit pairs: two weights an element."""
    trainable: int
    """Weights of one adapter."""

    @property
    def adapter_bytes(self) -> int:
        """One adapter in fp32."""
        return 4 * self.trainable

    @property
    def trainable_share(self) -> float:
        """Adapter weights as a fraction of the base model's."""
        return self.trainable / self.parameters


def count(config: PretrainedConfig, lora: LoraSettings) -> Figures:
    """Count a model of this configuration with an adapter of this shape."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        parameters = model.num_parameters()
        head = model.get_output_embeddings()
        packed = sum(module.weight.numel() for module in model.modules() if isinstance(module, nn.Linear) and module is not head)
        adapted = get_peft_model(model, peft_config(lora))
    trainable = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    return Figures(parameters=parameters, packed_elements=parameters - packed // 2, trainable=trainable)


def mistral_7b() -> MistralConfig:
    """The architecture of Mistral-7B-Instruct-v0.2 (its published config.json)."""
    return MistralConfig(
        vocab_size=32_000,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
    )
