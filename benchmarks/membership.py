"""Can somebody who holds an adapter tell which pairs it was trained on? The usual first attack, on a finished run.

    python -m benchmarks.membership --run RUN [--threads N]

The attacker has the base model, the adapter, and whole pairs of which it asks "was this one trained on?". It answers by how much
the adapter lowers the pair's loss per answer token (loss against a reference model: Carlini et al. 2022, Watson et al. 2022).
Printed is the area under the ROC curve, 0.5 for guessing and 1 for certainty, with a 95 % interval (Hanley and McNeil 1982):
pairs that a hospital's batches drew in the run against its pairs that they never drew, most of them kept for validation and test,
for the adapter that it sent last and for the shared one.
Weak attacks prove no safety; stronger ones exist. Some 3 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence

import torch

from engine import locations
from engine.data.batches import by_length, collate
from engine.data.partition import list_hospitals, read_partition
from engine.federated.checkpoint import adapter_folder
from engine.federated.hospital import Hospital
from engine.manifest import read_manifest
from engine.model.adapters import Adapter, AdapterBank, load_adapter
from engine.model.base import BaseModel, load_base
from engine.model.loss import answer_nll, per_pair_sums
from engine.model.template import Example, encode_pair
from engine.protocol import GLOBAL, UpdateReceived
from fedmed_tui.runs import load_events

SLOT = "membership"
BATCH = 8
Z = 1.96


def main() -> None:
    """Print one line per hospital."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, help="a finished run of the working folder")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = locations.run_folder(options.run)
    config = read_manifest(run).config
    *_, base = load_base(config.model)
    assert isinstance(base, BaseModel)
    bank = AdapterBank(base, config.lora)
    shared, untrained = load_adapter(run / GLOBAL)[1], bank.initial(config.seed)
    folder = locations.data_folder(config.data.folder)
    received = [stamped.event for stamped in load_events(options.run) if isinstance(stamped.event, UpdateReceived)]
    print(f"{'hospital':<10} {'trained on':>10} {'others':>7}  {'its own adapter, AUC':<22}  shared adapter, AUC")
    for name in config.data.hospitals or list_hospitals(folder):
        hospital, pairs = Hospital(name, folder, config), read_partition(folder, name)
        hospital.attach(bank)
        drawn = set(hospital.trained_on({one.round for one in received if one.hospital == name}))
        examples = [encode_pair(base.tokenizer, one.question, one.answer, config.training.max_tokens) for one in pairs]
        trained_on = [one in drawn for one in pairs]
        before = losses(bank, untrained, examples)
        found = []
        for adapter in (load_adapter(adapter_folder(run, name))[1], shared):
            after = losses(bank, adapter, examples)
            falls = [old - new for old, new in zip(before, after, strict=True)]
            found.append(auc(falls, trained_on))
        print(f"{name:<10} {sum(trained_on):>10} {len(pairs) - sum(trained_on):>7}  {found[0]:<22}  {found[1]}", flush=True)


def losses(bank: AdapterBank, adapter: Adapter, examples: Sequence[Example]) -> list[float]:
    """Loss per answer token of each pair, in nats. An untrained adapter changes nothing: it stands for the base model."""
    bank.put(SLOT, adapter)
    bank.use(SLOT, training=False)
    found = [0.0] * len(examples)
    for rows in by_length([len(example.ids) for example in examples], BATCH):
        batch = collate([examples[row] for row in rows], int(bank.base.tokenizer.pad_token_id))
        with torch.inference_mode():
            sums = per_pair_sums(answer_nll(bank.base.model, batch), batch)
        for row, total, count in zip(rows, sums.tolist(), batch.predicts.sum(dim=1).tolist(), strict=True):
            found[row] = total / max(count, 1)
    return found


def auc(scores: Sequence[float], members: Sequence[bool]) -> str:
    """`0.53 [0.42, 0.64]`: the chance that a member scores higher than another pair."""
    inside = [score for score, member in zip(scores, members, strict=True) if member]
    outside = [score for score, member in zip(scores, members, strict=True) if not member]
    wins = sum((one > other) + 0.5 * (one == other) for one in inside for other in outside)
    area = wins / (len(inside) * len(outside))
    both_in, both_out = area / (2 - area), 2 * area * area / (1 + area)
    variance = area * (1 - area) + (len(inside) - 1) * (both_in - area**2) + (len(outside) - 1) * (both_out - area**2)
    half = Z * math.sqrt(variance / (len(inside) * len(outside)))
    return f"{area:.2f} [{max(0.0, area - half):.2f}, {min(1.0, area + half):.2f}]"


if __name__ == "__main__":
    main()
