"""How the coordinator's rounds grow with hospitals.

    python -m benchmarks.scale [--hospitals 3,10,100,1000] [--models SmolLM2,Mistral] [--participation 1,0.1] [--rounds 2]

The real coordinator, checks, ledger, aggregation and run folder; hospitals are simulated: each returns the round's adapter with
seeded noise, and a loss. Each row is a process of its own, so that its memory is its own. Printed: seconds per round without the
making of updates, by the clock and of processor time, and the largest resident memory less what the process had before round 1.
A round's updates lie on disk, beside the hospitals' adapters of the round before: 1,000 adapters of 13 MiB need 26 GiB, in
`TMPDIR`. All of it is deleted afterwards.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

MIB = 1024**2


def main() -> None:
    """Every model with every number of hospitals, each in a process. Linux only: it reads /proc."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hospitals", default="3,10,100,1000")
    parser.add_argument("--models", default="SmolLM2,Mistral")
    parser.add_argument("--participation", default="1")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another setting, for all rows")
    parser.add_argument("--row", nargs=3, metavar=("MODEL", "COUNT", "PART"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.row:
        rules = dict(one.split("=", 1) for one in asked.set)
        _row(asked.row[0], int(asked.row[1]), float(asked.row[2]), asked.rounds, rules)
        return
    print("| adapter | hospitals | of them train | s a round | of it processor | ms for each of these | memory, MiB |")
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    more = [word for one in asked.set for word in ("--set", one)]
    for model in asked.models.split(","):
        for part in asked.participation.split(","):
            for count in asked.hospitals.split(","):
                with tempfile.TemporaryDirectory() as home:
                    row = ["--row", model, count, part, "--rounds", str(asked.rounds), *more]
                    environment = {**os.environ, "FEDMED_HOME": home}
                    subprocess.run([sys.executable, "-m", "benchmarks.scale", *row], check=True, env=environment)


def _row(model: str, count: int, part: float, rounds: int, rules: dict[str, str]) -> None:
    from benchmarks.simulated import run_rounds
    from engine.settings import FederationSettings

    asked = FederationSettings(participation=part).asked(count)
    found = run_rounds(model, count, rounds, {"federation.participation": part, **rules})
    each, memory = 1000 * found.cpu_seconds / asked, (found.peak_bytes - found.before_bytes) / MIB
    figures = f"{found.seconds:.2f} | {found.cpu_seconds:.2f} | {each:.0f} | {memory:,.0f}"
    print(f"| {model}, {found.adapter_bytes / MIB:.1f} MiB | {count:,} | {asked:,} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
