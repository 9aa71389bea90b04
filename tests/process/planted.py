"""Modules under well-known names that leave a mark when they are run."""

from __future__ import annotations

from pathlib import Path

MARK = "planted.txt"
MODULES = ("json", "msgspec", "nvflare", "pip", "psutil", "torch")


def plant(folder: Path) -> Path:
    """Put them into a folder; returns the file that appears when one is run."""
    mark = folder / MARK
    for name in MODULES:
        (folder / f"{name}.py").write_text(f"with open({str(mark)!r}, 'a') as mark:\n    mark.write({name!r})\n")
    return mark
