"""The same federated run by this engine and by what people use now, in turns, each in a process of its own.

    python -m benchmarks.peers [--repeats 3] [--precision auto|fp32] [--rounds 3] [--steps 10]

* engine: this project's engine, the base loaded once for all hospitals and rounds.
* trainer: a client as in FlowerTune: for each hospital and round the base is loaded again, an adapter is put on it, and
  transformers' `Trainer` takes the steps; batches are padded to their longest pair.
* padded: the same, padded to the maximum length, as its default collator with `padding="max_length"` does.

All take the same base, precision, pairs, steps, batch size, learning rate by step, gradient clipping, LoRA shape and dropout, and
average A and B by pair counts. Wall time is loading, local trainings and averaging. Tokens are those of the texts, padding not
counted, from the second step of each local training on. The test loss must agree within 2 %, or the comparison is void.
Some 12 minutes with the demo's settings on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from msgspec.structs import replace

from engine.settings import DEMO, RunConfig

ARMS = ("engine", "trainer", "padded")
WALL_GOAL, RATE_GOAL, MATRIX_GOAL = 3.0, 1.3, 0.8
LOSS_TOLERANCE = 0.02


@dataclass
class Outcome:
    """What one process measured."""

    wall: float
    tokens_per_second: float
    peak_bytes: int
    loss: float
    """Mean over hospitals on test pairs, nats per answer token."""
    matrix_share: float = 0.0
    """Of the matrix-product rate; engine alone."""


def main() -> None:
    """Run the arms in turns and print the comparison; with `--arm`, be one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", choices=("auto", "fp32"), default="auto", help="auto is bf16 where the processor has it")
    parser.add_argument("--rounds", type=int, default=DEMO.training.rounds)
    parser.add_argument("--steps", type=int, default=DEMO.training.local_steps)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="for tensors; all cores when not given")
    options = parser.parse_args()
    if options.arm:
        outcome = _one(options.arm, _config(options), options.threads)
        print(json.dumps(asdict(outcome)))
        return
    found: dict[str, list[Outcome]] = {arm: [] for arm in ARMS}
    for repeat in range(options.repeats):
        for arm in ARMS:
            found[arm].append(_in_a_process(arm))
            print(f"{repeat + 1}/{options.repeats} {arm}: {found[arm][-1]}", file=sys.stderr)
    report(found)


def _config(options: argparse.Namespace) -> RunConfig:
    """The demo, averaged as FlowerTune does."""
    quantization = "auto" if options.precision == "auto" else "none"
    return replace(
        DEMO,
        model=replace(DEMO.model, source="bundled", quantization=quantization, device="cpu"),
        training=replace(DEMO.training, rounds=options.rounds, local_steps=options.steps),
        aggregation=replace(DEMO.aggregation, weighting="samples", combine="factors"),
    )


def _in_a_process(arm: str) -> Outcome:
    command = [sys.executable, "-m", "benchmarks.peers", *sys.argv[1:], "--arm", arm]
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, env=environment)
    return Outcome(**json.loads(answer.stdout.splitlines()[-1]))


def report(found: dict[str, list[Outcome]]) -> None:
    """Medians with their spread, and ratios from runs side by side."""
    print(f"{'':<10} {'wall':>22} {'tokens/s':>22} {'peak memory':>13} {'test loss':>10}")
    for arm, outcomes in found.items():
        walls, rates = _spread([one.wall for one in outcomes], 1), _spread([one.tokens_per_second for one in outcomes], 0)
        peak, loss = max(one.peak_bytes for one in outcomes) / 2**30, median(one.loss for one in outcomes)
        print(f"{arm:<10} {walls:>22} {rates:>22} {peak:>9.2f} GiB {loss:>10.4f}")
    for other in ARMS[1:]:
        pairs = list(zip(found[other], found["engine"], strict=True))
        wall = _spread([theirs.wall / ours.wall for theirs, ours in pairs], 2)
        rate = _spread([ours.tokens_per_second / theirs.tokens_per_second for theirs, ours in pairs], 2)
        print(f"engine against {other}: wall {wall} times faster, tokens/s {rate} times as many")
    print(f"share of the matrix-product rate: {_spread([one.matrix_share for one in found['engine']], 2)}")
    print(f"goals against trainer: wall {WALL_GOAL}, tokens/s {RATE_GOAL}; share of the matrix-product rate {MATRIX_GOAL}")
    losses = [one.loss for outcomes in found.values() for one in outcomes]
    apart = max(losses) / min(losses) - 1
    verdict = "they agree" if apart <= LOSS_TOLERANCE else "THE COMPARISON IS VOID"
    print(f"test losses are at most {apart:.2%} apart, {LOSS_TOLERANCE:.0%} allowed: {verdict}")


def _spread(values: Sequence[float], decimals: int) -> str:
    return f"{median(values):.{decimals}f} ({min(values):.{decimals}f}–{max(values):.{decimals}f})"


# --- one arm -------------------------------------------------------------------------------------------------------------------


def _one(arm: str, config: RunConfig, threads: int) -> Outcome:
    """Libraries are imported before the clock starts."""
    import torch

    from benchmarks.peers_arms import fresh_adapter, on_engine, on_trainer, share_of_matrix_rate, test_loss
    from engine.resources import peak_memory

    torch.set_num_threads(threads)
    start = fresh_adapter(config)
    started = time.perf_counter()
    adapter, rate = on_engine(config, start) if arm == "engine" else on_trainer(config, start, to_longest=arm == "trainer")
    wall, peak = time.perf_counter() - started, peak_memory()[0]
    share = share_of_matrix_rate(config) if arm == "engine" else 0.0
    return Outcome(wall, rate, peak, test_loss(config, adapter), share)


if __name__ == "__main__":
    main()
