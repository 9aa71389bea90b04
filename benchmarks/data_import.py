"""Time, peak memory and counts of importing the whole MedQuAD archive, in an engine process of its own as the app does it.

python -m benchmarks.data_import [ARCHIVE] [--natural]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import threading
import time
from pathlib import Path

import psutil

from engine.protocol import REFERENCE_SIZES, ImportData, ImportFinished, Progress, Stamped
from fedmed_tui.cli.session import EngineSession

ARCHIVE = Path(__file__).parents[2] / "shared" / "data" / "MedQuAD-577bd37.tar.gz"
POLL_SECONDS = 0.02


class PeakMemory:
    """The largest resident memory of this process's children, looked at 50 times a second."""

    def __init__(self) -> None:
        self.bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        here = psutil.Process()
        while not self._done.wait(POLL_SECONDS):
            for child in here.children():
                try:
                    self.bytes = max(self.bytes, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue


async def measure(command: ImportData) -> None:
    """Run the import, print what it took."""
    finished: list[ImportFinished] = []
    bars = [0]

    def take(stamped: Stamped) -> None:
        if isinstance(stamped.event, ImportFinished):
            finished.append(stamped.event)
        bars[0] += isinstance(stamped.event, Progress)

    with PeakMemory() as peak:
        started = time.monotonic()
        async with EngineSession(take) as session:
            await session.run(command)
            ended = time.monotonic()
    (event,) = finished
    print(f"{event.kind}: {event.rows:,} rows, {event.kept:,} pairs kept, {event.rejected} rejected")
    print("hospitals: " + ", ".join(f"{name} {count:,}" for name, count in event.hospitals.items()))
    print("left out: " + ", ".join(f"{reason} {count:,}" for reason, count in event.dropped.items()))
    print(f"{ended - started:.1f} s with the engine's start, {bars[0]} progress events")
    load = os.getloadavg()[0]
    print(f"peak memory of the engine process {peak.bytes / 2**20:.0f} MiB; {os.cpu_count()} cores, load {load:.1f}")


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", nargs="?", type=Path, default=ARCHIVE)
    parser.add_argument("--natural", action="store_true", help="every usable pair instead of the reference sizes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["FEDMED_HOME"] = home
        sizes = {} if arguments.natural else REFERENCE_SIZES
        asyncio.run(measure(ImportData(job="import", source=str(arguments.archive.resolve()), sizes=sizes)))


if __name__ == "__main__":
    main()
