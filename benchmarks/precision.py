"""What does holding the base model in 4 bits change? Test loss and bytes of the same model at each precision.

    python -m benchmarks.precision [--run RUN] [--pairs 16] [--threads N]

The bundled model, on the sample corpus' test pairs: as expanded from its 4-bit file in fp32, in bf16, and packed again as NF4
with double quantization by bitsandbytes, as a CUDA card would hold it. With `--run`, the shared adapter of that run on top of
each. Some 4 minutes on 2 cores; NF4 is slow without a card.
"""

from __future__ import annotations

import argparse
import os
from statistics import fmean

import torch
from msgspec.structs import replace

from engine import locations
from engine.data.partition import list_hospitals
from engine.federated.hospital import Hospital
from engine.model.adapters import Adapter, AdapterBank, load_adapter
from engine.model.base import BaseModel, load_base
from engine.protocol import GLOBAL
from engine.settings import DEMO

PRECISIONS = {"fp32": "none", "bf16 where the processor has it": "auto", "NF4": "nf4"}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="", help="also with this run's shared adapter")
    parser.add_argument("--pairs", type=int, default=16, help="test pairs per hospital")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    trained = load_adapter(locations.run_folder(options.run) / GLOBAL)[1] if options.run else None
    print(f"{'precision':<34} {'as loaded':>10} {'base loss':>10} {'adapted':>10}")
    for name, quantization in PRECISIONS.items():
        model = replace(DEMO.model, source="bundled", quantization=quantization, device="cpu")
        *_, base = load_base(model)
        assert isinstance(base, BaseModel)
        bank = AdapterBank(base, DEMO.lora)
        losses = [f"{loss(bank, adapter, options.pairs):.4f}" if adapter else "–" for adapter in (bank.initial(0), trained)]
        print(f"{name:<34} {base.bytes / 2**20:>6.0f} MiB {losses[0]:>10} {losses[1]:>10}", flush=True)


def loss(bank: AdapterBank, adapter: Adapter, pairs: int) -> float:
    """Mean over hospitals on test pairs, nats per answer token."""
    folder, found = locations.sample_folder(), []
    for name in list_hospitals(folder):
        hospital = Hospital(name, folder, DEMO)
        hospital.attach(bank)
        work = hospital.examine(adapter, pairs)
        while True:
            try:
                next(work)
            except StopIteration as end:
                found.append(end.value.loss)
                break
    return fmean(found)


if __name__ == "__main__":
    main()
