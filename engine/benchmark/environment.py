"""The machine and the libraries that figures were measured with."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import psutil

from engine.benchmark.results import Environment
from engine.version import __version__

PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "safetensors")


def environment() -> Environment:
    """As it is now. Names the card and the thread count when a tensor library is loaded; never loads one."""
    torch = sys.modules.get("torch")
    gpu = torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else ""
    return Environment(
        program=__version__,
        system=platform.platform(terse=True),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads() if torch is not None else 0,
        memory_bytes=psutil.virtual_memory().total,
        gpu=gpu,
        python=platform.python_version(),
        packages={name: metadata.version(name) for name in PACKAGES},
    )


def _processor() -> str:
    """As the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
