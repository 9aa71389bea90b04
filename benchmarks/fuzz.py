"""Spoil good bytes at random and let every reader of outside bytes read them: only documented errors may come out.

    python -m benchmarks.fuzz --mutations 100000 [--seed 1] [--only NAME]

A documented error is a `FedMedError`: it says what is wrong, where, and how to mend it. Anything else is a finding: another
exception, a read that takes more than 5 s of processor time or a minute on the clock, more than 512 MiB of additional memory, or
the end of the process. Its bytes are kept in `--findings`.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz_bytes import Reader, drawn_edits, spoiled
from benchmarks.fuzz_readers import readers
from engine.errors import FedMedError

LIMIT_SECONDS = 5
"""Of processor time: what a machine does beside it does not count."""
PATIENCE = 12
"""Times as long on the clock, for a read that waits for something."""
LIMIT_BYTES = 512 * 2**20
BATCH = 2000
MEMORY = Path("/dev/shm")


class Hang(BaseException):
    """A read took too long."""


@dataclass
class Outcome:
    """What became of one reader's mutations."""

    read: int = 0
    refused: int = 0
    findings: int = 0
    slowest: float = 0.0


def main() -> None:
    """Spoil and read. Exit code 1 when there is a finding."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="readers whose name holds this")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    wanted = parser.parse_args()
    chosen = [reader for reader in readers() if wanted.only in reader.name]
    shares = sum(reader.cost for reader in chosen)
    print(f"{'reader':<22}{'mutations':>10}{'read':>9}{'refused':>9}{'slowest':>10}{'findings':>10}")
    total = 0
    for number, reader in enumerate(chosen):
        count = -(-int(wanted.mutations * reader.cost) // int(shares)) if shares else 0
        outcome = in_batches(reader, count, wanted.seed * 1000 + number, wanted.findings)
        total += outcome.findings
        told = (
            f"{reader.name:<22}{count:>10,}{outcome.read:>9,}{outcome.refused:>9,}{outcome.slowest:>8.2f} s{outcome.findings:>10}"
        )
        print(told, flush=True)
    print(f"{total} findings" + (f", kept in {wanted.findings}" if total else ""))
    raise SystemExit(1 if total else 0)


def in_batches(reader: Reader, count: int, seed: int, findings: Path) -> Outcome:
    """Each batch in a process of its own, so that not even a crash of a library ends the search."""
    outcome = Outcome()
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            told, theirs = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(told)
                _batch(reader, size, random.Random(f"{seed}/{start}"), Path(folder), findings, theirs)
            os.close(theirs)
            with os.fdopen(told) as lines:
                words = lines.read().split()
            status = os.waitpid(pid, 0)[1]
            if status != 0 or len(words) != 4:
                _keep(findings, reader, (Path(folder) / "last").read_bytes(), f"the process ended with status {status}")
                outcome.findings += 1
                continue
        outcome.read += int(words[0])
        outcome.refused += int(words[1])
        outcome.findings += int(words[2])
        outcome.slowest = max(outcome.slowest, float(words[3]))
    return outcome


def _batch(reader: Reader, size: int, draw: random.Random, folder: Path, findings: Path, told: int) -> None:
    """In the child: read so many mutations, and say how it went."""
    _limit_memory()
    for limit in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(limit, _too_long)
    one, work = Outcome(), folder / "work"
    work.mkdir()
    for _ in range(size):
        data = spoiled(draw.choice(reader.seeds), drawn_edits(draw))
        (folder / "last").write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, LIMIT_SECONDS)
        signal.alarm(PATIENCE * LIMIT_SECONDS)
        begun = time.process_time()
        try:
            reader.read(data, work)
            one.read += 1
        except FedMedError as error:
            assert error.message
            one.refused += 1
        except BaseException as error:
            one.findings += 1
            _keep(findings, reader, data, "".join(traceback.format_exception(error)))
        finally:
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
        one.slowest = max(one.slowest, time.process_time() - begun)
    os.write(told, f"{one.read} {one.refused} {one.findings} {one.slowest}".encode())
    os._exit(0)


def _limit_memory() -> None:
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + LIMIT_BYTES, resource.RLIM_INFINITY))


def _too_long(*_: object) -> None:
    raise Hang


def _keep(folder: Path, reader: Reader, data: bytes, why: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{reader.name.replace(' ', '-')}-{abs(hash(data)):x}"
    (folder / f"{name}.bytes").write_bytes(data)
    (folder / f"{name}.txt").write_text(why, encoding="utf-8")


if __name__ == "__main__":
    main()
