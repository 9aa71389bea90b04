"""What this process uses now."""

from __future__ import annotations

import sys

import psutil

_process = psutil.Process()


def read_resources() -> tuple[int, int]:
    """(resident memory, memory allocated on the card), in bytes. Never loads torch."""
    torch = sys.modules.get("torch")
    gpu = torch.cuda.memory_allocated() if torch is not None and torch.cuda.is_initialized() else 0
    return _process.memory_info().rss, gpu


def give_back_memory() -> None:
    """Return freed memory to the system; the allocator would hold what the longest batch needed. Some 50 ms after a training."""
    if hasattr(psutil, "heap_trim"):  # not with every C library
        psutil.heap_trim()


def peak_memory() -> tuple[int, int]:
    """(most resident memory, most memory allocated on the card) since the process began, in bytes. Never loads torch."""
    torch = sys.modules.get("torch")
    gpu = torch.cuda.max_memory_allocated() if torch is not None and torch.cuda.is_initialized() else 0
    if sys.platform == "win32":
        return _process.memory_info().peak_wset, gpu
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, gpu
