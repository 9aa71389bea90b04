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
