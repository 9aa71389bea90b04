"""Everything of this project that reads bytes from outside, each with good bytes to start from."""

from __future__ import annotations

from benchmarks.fuzz_bytes import Reader
from benchmarks.fuzz_data import data_readers
from benchmarks.fuzz_federation import federation_readers
from benchmarks.fuzz_runs import run_readers


def readers() -> list[Reader]:
    """Every one."""
    return [*run_readers(), *federation_readers(), *data_readers()]
