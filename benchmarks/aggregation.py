"""Time and memory of combining K updates at the shapes of Mistral-7B: r = 8 on q_proj and v_proj, 3,407,872 parameters each.

    python -m benchmarks.aggregation [--hospitals 3,10,100,1000] [--threads N]

Updates are folded in one at a time, as they would arrive; a few different ones are made beforehand and used in turn, so that only
combining is measured. Each K runs in a process of its own, whose peak memory is compared with that before the first update.
`factors` is plain averaging of A and B in float64. The copy rate is that of this machine copying fp32 tensors of an adapter.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import torch

from engine.aggregation.combine import FactorSum
from engine.aggregation.products import ProductSum
from engine.model.adapters import Adapter, size_of

LAYERS, RANK = 32, 8
SHAPES = {"q_proj": (4096, 4096), "v_proj": (1024, 4096)}
"""(out, in) of each adapted layer."""
DIFFERENT = 3


def main() -> None:
    """Print a table, a line per rule and K."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hospitals", default="3,10,30,100,300,1000")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--one", nargs=2, metavar=("RULE", "K"), help="measure one line, in this process")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        rule, count = options.one
        print(measure(rule, int(count)))
        return
    rate = copy_rate()
    print(f"{options.threads} threads; copying adapters moves {rate:.1f} GB/s")
    print(
        "| rule | K | seconds | per update, ms | times `factors` | GB/s of updates | of copy rate | peak memory above start, MB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for count in (int(number) for number in options.hospitals.split(",")):
        plain = 0.0
        for rule in ("factors", "exact"):
            seconds, megabytes = _in_own_process(rule, count, options.threads)
            plain = plain or seconds
            speed = count * size_of(update(0)) / seconds / 1e9
            cells = [f"{seconds:.2f}", f"{1000 * seconds / count:.1f}", f"{seconds / plain:.1f}", f"{speed:.2f}"]
            cells += [f"{speed / rate:.1%}", f"{megabytes:.0f}"]
            print(f"| {rule} | {count} | " + " | ".join(cells) + " |", flush=True)


def _in_own_process(rule: str, count: int, threads: int) -> tuple[float, float]:
    """Seconds and MB of `measure`."""
    command = [sys.executable, "-m", "benchmarks.aggregation", "--threads", str(threads), "--one", rule, str(count)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, megabytes = (float(part) for part in answer.stdout.split()[-2:])
    return seconds, megabytes


def measure(rule: str, count: int) -> str:
    """Seconds to combine `count` updates, and MB of peak memory above that before."""
    updates = [update(seed) for seed in range(DIFFERENT)]
    before = _peak()
    started = time.perf_counter()
    total = FactorSum() if rule == "factors" else ProductSum()
    for number in range(count):
        total.add(updates[number % DIFFERENT], 1 / count)
    if isinstance(total, FactorSum):
        total.result()
    else:
        total.project(RANK)
    return f"{time.perf_counter() - started} {_peak() - before}"


def update(seed: int) -> Adapter:
    """Normal entries in Mistral's shapes."""
    draw = torch.Generator().manual_seed(seed)
    adapter = {}
    for layer in range(LAYERS):
        for name, (out, inside) in SHAPES.items():
            prefix = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            adapter[f"{prefix}.lora_A.weight"] = torch.randn(RANK, inside, generator=draw)
            adapter[f"{prefix}.lora_B.weight"] = torch.randn(out, RANK, generator=draw)
    return adapter


def copy_rate() -> float:
    """GB/s read while copying adapters that are too large for the cache, best of five."""
    source = [tensor for seed in range(DIFFERENT) for tensor in update(seed).values()]
    target = [torch.empty_like(tensor) for tensor in source]
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for one, other in zip(target, source, strict=True):
            one.copy_(other)
        best = min(best, time.perf_counter() - started)
    return sum(tensor.numel() * tensor.element_size() for tensor in source) / best / 1e9


def _peak() -> float:
    """Largest resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
