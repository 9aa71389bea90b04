"""Which weighting is best, and how far from it are the others? Held-out test loss in six scenarios, paired over seeds.

    python -m benchmarks.aggregation_study small --seeds 0-4  --out results/small.jsonl     small study model, every weighting
    python -m benchmarks.aggregation_study real  --seeds 0-1  --out results/real.jsonl      the bundled model on three hospitals
    python -m benchmarks.aggregation_study tables results/small.jsonl --seeds 100-104       Markdown tables

Seeds decide which pairs a hospital holds, the adapter's start, batches and dropout; all arms of a seed share them. Test pairs are
read once, after the last round. Finished lines in `--out` are not run again. `--quick` runs one tiny arm of each kind.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.aggregation_lab import federation, hospitals, small_model, tables
from engine.model.adapters import AdapterBank

ARMS: dict[str, dict[str, Any]] = {
    name: {"aggregation.weighting": name}
    for name in (
        "agent",
        "samples",
        "equal",
        "inverse_loss",
        "loss_variance",
        "fedlaw",
        "median",
        "trimmed_mean",
        "krum",
        "geometric_median",
    )
} | {"samples, clipped": {"aggregation.weighting": "samples", "aggregation.norm_clip": 1.0}}
COMBINE_ARMS: dict[str, dict[str, Any]] = {
    f"samples, {rule}": {"aggregation.weighting": "samples", "aggregation.combine": rule}
    for rule in ("exact", "factors", "stacked", "frozen_a", "alternate")
}
SMALL = {
    "model.quantization": "none",
    "model.device": "cpu",
    "lora.target_modules": ("q_proj", "v_proj", "up_proj", "down_proj"),
    "training.rounds": 5,
    "training.local_steps": 24,
    "training.batch_size": 8,
    "training.learning_rate": 3e-3,
    "training.max_tokens": 64,
    "lora.dropout": 0.0,
    "data.validation_pairs": 1000,
    "aggregation.evaluation_share": 0.25,
}
REAL = {
    "model.device": "cpu",
    "training.rounds": 3,
    "training.local_steps": 10,
    "training.batch_size": 4,
    "training.learning_rate": 2e-3,
    "training.max_tokens": 128,
    "data.validation_pairs": 1000,
    "aggregation.evaluation_share": 1.0,
}
QUICK = {"training.rounds": 2, "training.local_steps": 3}


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("small", "real", "tables"))
    parser.add_argument("files", nargs="*", type=Path, help="result files, for tables")
    parser.add_argument("--seeds", default="0-4", help="first-last")
    parser.add_argument("--scenarios", default=",".join(hospitals.SCENARIOS))
    parser.add_argument("--arms", default="", help="separated by semicolons; all weightings unless given")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting in every arm")
    parser.add_argument("--out", type=Path, default=Path("aggregation_study.jsonl"))
    parser.add_argument("--model", type=Path, default=Path(tempfile.gettempdir()) / "fedmed-study-model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no further arm after so many")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    if options.what == "tables":
        print(tables.render(options.files, seeds))
        return
    torch.set_num_threads(options.threads)
    study(options, seeds)


def study(options: argparse.Namespace, seeds: range) -> None:
    """Every arm of every scenario of every seed that is not in the result file yet."""
    plan, base = _setting(options)
    scenarios = options.scenarios.split(",")
    chosen = options.arms.split(";") if options.arms else list(ARMS)
    if options.quick:
        seeds, scenarios, chosen = range(1), ["clean", "poison"], ["agent", "samples"]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    done = (
        {(line["seed"], line["scenario"], line["arm"]) for line in tables.read([options.out])} if options.out.exists() else set()
    )
    bank = federation.load_bank(federation.configuration(base, {}, 0))
    until = time.monotonic() + 60 * options.minutes
    for seed in seeds:
        for scenario in scenarios:
            missing = [arm for arm in chosen if (seed, scenario, arm) not in done]
            for arm, result in _results(plan, base, bank, (seed, scenario), missing):
                record(options.out, plan, (seed, scenario, arm), result)
                if time.monotonic() > until:
                    return


def _setting(options: argparse.Namespace) -> tuple[hospitals.Plan, dict[str, Any]]:
    """Who holds what, and the settings that all arms share. Makes the small model where there is none yet."""
    small = options.what == "small"
    base: dict[str, Any] = dict(SMALL if small else REAL)
    if small:
        if not (options.model / "config.json").exists():
            texts = hospitals.texts(("GARD", "MPlusHealthTopics", "NIHSeniorHealth"))
            small_model.make(options.model, texts, steps=30 if options.quick else 3000)
        base["model.source"] = str(options.model)
    base |= QUICK if options.quick else {}
    base |= dict(item.split("=", 1) for item in options.set)
    return hospitals.SMALL if small else hospitals.REAL, base


def _results(
    plan: hospitals.Plan, base: dict[str, Any], bank: AdapterBank, case: tuple[int, str], arms: list[str]
) -> Iterator[tuple[str, federation.Result]]:
    """The arms of one seed and scenario, on the same hospitals."""
    seed, scenario = case
    if not arms:
        return
    with tempfile.TemporaryDirectory() as name:
        hospitals.write(Path(name), plan, scenario, seed)
        common = federation.configuration(base, {}, seed)
        opened = federation.open_hospitals(Path(name) / "run", common, bank)
        finals = federation.open_hospitals(Path(name) / "final", common, bank)
        transport = federation.Attacked(opened, scenario, plan.bad(scenario))
        for arm in arms:
            yield arm, federation.run(federation.configuration(base, (ARMS | COMBINE_ARMS)[arm], seed), bank, transport, finals)


def record(out: Path, plan: hospitals.Plan, key: tuple[int, str, str], result: federation.Result) -> None:
    """One line of results, and one for the eye."""
    seed, scenario, arm = key
    honest = [result.losses[name] for name in plan.honest(scenario)]
    macro, bad = sum(honest) / len(honest), plan.bad(scenario)
    flagged = [[one.hospital for one in event.weights if one.standing != "counted"] for event in result.events]
    line = {
        "seed": seed,
        "scenario": scenario,
        "arm": arm,
        "macro": macro,
        "worst": max(honest),
        "losses": result.losses,
        "seconds": result.seconds,
        "bad": bad,
        "flagged": flagged,
        "verdicts": [event.verdict for event in result.events],
        "combine_errors": [event.combine_error for event in result.events],
        "shares": [event.cost.share for event in result.events if event.cost],
        "tested": [
            [(one.name, one.screen, one.gain, one.error, one.chosen) for one in event.candidates if one.gain is not None]
            for event in result.events
        ],
        "weights": [{one.hospital: one.weight * event.scale for one in event.weights} for event in result.events],
    }
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(f"{seed:4d}  {scenario:12s} {arm:18s} macro {macro:.4f}  worst {max(honest):.4f}  {result.seconds:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
