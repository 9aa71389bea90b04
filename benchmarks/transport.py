"""What carrying costs: `python -m benchmarks.transport [--sizes 1.8,80] [--rounds 3]`, a real federation on this machine.

A server and three hospitals, each its own processes, with certificates, as in `fedmed-tui federation rehearse`. The base model is
random and shallow and every hospital trains one step, so that a round is nearly all carrying: three questions to three hospitals
(train, evaluate one's own adapter, evaluate the new global adapter), each with an adapter of the given size in it. Printed per
round: its whole time, and the part in which messages were on their way and no hospital worked.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.wide_model import write_model
from engine.protocol import AnyEvent, RoundFinished, StartRun, TrafficCounted, UpdateReceived
from engine.settings import load_config
from fedmed_tui.cli.rehearsal import NAME, rehearsal
from fedmed_tui.cli.session import run_job


@dataclass(frozen=True)
class Row:
    """One round."""

    mib: float
    number: int
    seconds: float
    training: float
    carrying: float


def main() -> None:
    """Measure each size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1.8,80", help="MiB of adapter, of 1.8 (SmolLM2-135M, rank 8) and 80")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        os.environ |= {"FEDMED_HOME": work, "FEDMED_LOG": str(Path(work) / "engine.log")}
        rows: list[Row] = []
        with rehearsal():
            for mib in (float(one) for one in arguments.sizes.split(",")):
                rows += measured(mib, arguments.rounds, Path(work))
    print(f"{'adapter MiB':>12} {'round':>6} {'whole s':>8} {'training s':>11} {'on the way s':>13}")
    for row in rows:
        print(f"{row.mib:>12.1f} {row.number:>6} {row.seconds:>8.2f} {row.training:>11.2f} {row.carrying:>13.2f}")


def measured(mib: float, rounds: int, work: Path) -> list[Row]:
    """The rounds of one run."""
    model = write_model(mib, work / f"model-{mib:g}")
    config = load_config(
        overrides={
            "federation.name": NAME,
            **model,
            "training.rounds": rounds + 1,  # in the last one the learning rate is 0: nothing new would travel
            "training.local_steps": 1,
            "training.batch_size": 1,
            "training.max_tokens": 64,
            "data.validation_pairs": 1,
            "aggregation.weighting": "equal",
            "aggregation.combine": "factors",
        }
    )
    events: list[AnyEvent] = []
    run_job(StartRun(job="measure", run=f"carry-{mib:g}", config=config), lambda stamped: events.append(stamped.event))
    training = {
        number: max(one.seconds for one in events if isinstance(one, UpdateReceived) and one.round == number)
        for number in range(1, rounds + 2)
    }
    carrying = {one.round: one.carrying for one in events if isinstance(one, TrafficCounted)}
    return [
        Row(mib, one.round, one.seconds, training[one.round], carrying[one.round])
        for one in events
        if isinstance(one, RoundFinished) and one.round <= rounds
    ]


if __name__ == "__main__":
    main()
