"""How rounds grow with hospitals: `python -m benchmarks.scale [--hospitals 3,10,100] [--sizes 1.8,13]`.

The real coordinator, checks, ledger, aggregation and run folder; hospitals are simulated: each returns the round's adapter with
seeded noise, and a loss. Each row is a process of its own, so that its memory is its own. Printed: seconds per round, the largest
resident memory, and that memory less what the process had before round 1.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

MIB = 1024**2
ROUNDS = 2


def main() -> None:
    """Every size with every number of hospitals, each in a process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hospitals", default="3,10,100")
    parser.add_argument("--sizes", default="1.8,13")
    parser.add_argument("--weighting", default="samples")
    parser.add_argument("--row", nargs=3, metavar=("MODEL", "MIB", "COUNT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        _row(Path(arguments.row[0]), float(arguments.row[1]), int(arguments.row[2]), arguments.weighting)
        return
    print(f"{'adapter MiB':>12} {'hospitals':>10} {'s per round':>12} {'a hospital':>15} {'memory MiB':>11} {'rounds MiB':>14}")
    with tempfile.TemporaryDirectory() as work:
        for mib in arguments.sizes.split(","):
            for count in arguments.hospitals.split(","):
                row = ["--row", str(Path(work) / f"model-{mib}"), mib, count, "--weighting", arguments.weighting]
                environment = {**os.environ, "FEDMED_HOME": str(Path(work) / f"{mib}-{count}")}
                subprocess.run([sys.executable, "-m", "benchmarks.scale", *row], check=True, env=environment)


def _row(model: Path, mib: float, count: int, weighting: str) -> None:
    from benchmarks.simulated import run_rounds
    from benchmarks.wide_model import write_model

    settings: Mapping[str, object] = write_model(mib, model)
    before, seconds = run_rounds(settings, count, ROUNDS, weighting)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{mib:>12.1f} {count:>10,} {seconds:>12.2f} {seconds / count:>15.3f} {peak:>11,.0f} {peak - before:>14,.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
