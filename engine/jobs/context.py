"""What lives as long as the engine process: the loaded model and the run in progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.protocol import ModelLoaded

if TYPE_CHECKING:  # tensor libraries are loaded by the first job that needs them, so that the engine is ready at once
    from engine.data.pairs import Pair
    from engine.federated.flare.worker import Attending
    from engine.model.adapters import AdapterBank
    from engine.model.serving import Serving


@dataclass
class Engine:
    """Shared by all jobs of the process."""

    attached: bool = True
    """A screen is attached: one core is left to it."""
    bank: AdapterBank | None = None
    loaded: ModelLoaded | None = None
    """What was said when `bank` was loaded."""
    live_run: str = ""
    """The run in progress."""
    holder: str = ""
    """The run in progress, or whose benchmark is, from before its model is loaded: no other job may load another one."""
    serving: Serving | None = None
    """Answers from `bank`; made by the first question, or at once where a screen is attached."""
    attending: Attending | None = None
    """The federation's run that this engine's hospital has joined."""
    test_pairs: tuple[object, dict[str, Pair]] | None = None
    """What the files of the data folder looked like, and its test pairs by question."""
