"""Random shallow models whose adapters have a wanted size: what carrying and combining cost does not depend on the numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MIB = 1024**2
SHAPES = {1.8: (576, 2), 13.0: (1280, 4), 80.0: (1280, 16)}
"""Adapter MiB → hidden size and layers. 1.8 is SmolLM2-135M's, 13 Mistral-7B's (rank 8 on q_proj and v_proj)."""
SCRIPT = """
import sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
sys.path.insert(0, sys.argv[4])
from tests.tiny_model import train_tokenizer
tokenizer = train_tokenizer()
tokenizer.save_pretrained(sys.argv[1])
torch.manual_seed(0)
LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), hidden_size=int(sys.argv[2]), intermediate_size=64,
    num_hidden_layers=int(sys.argv[3]), num_attention_heads=8, num_key_value_heads=8,
    max_position_embeddings=512)).save_pretrained(sys.argv[1])
"""


def write_model(mib: float, folder: Path) -> dict[str, object]:
    """A model folder, and the settings with which its adapter has `mib` MiB."""
    hidden, layers = SHAPES[mib]
    here = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", SCRIPT, str(folder), str(hidden), str(layers), here], check=True)
    return {
        "model.source": str(folder),
        "model.quantization": "none",
        "lora.rank": round(mib * MIB / (layers * 2 * 2 * hidden * 4)),
    }
