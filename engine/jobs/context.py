"""What lives as long as the engine process: the loaded model and the run in progress."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.protocol import ModelLoaded

if TYPE_CHECKING:  # tensor libraries are loaded by the first job that needs them, so that the engine is ready at once
    from engine.model.adapters import AdapterBank


@dataclass
class Engine:
    """Shared by all jobs of the process."""

    attached: bool = True
    """A screen is attached: one core is left to it."""
    bank: AdapterBank | None = None
    loaded: ModelLoaded | None = None
    """What was said when `bank` was loaded."""
    live_run: str = ""
    """The run in progress; its adapters are in the bank."""
    stored_slots: dict[str, float] = field(default_factory=dict)
    """Slots filled from finished runs, with the file time they were read at."""
