"""Keep events that may be dropped to 10 a second of each kind and source."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.protocol import BenchmarkProgress, Progress, Resources, StepDone

INTERVAL_SECONDS = 0.1


class Throttle:
    """Says which droppable events to leave out. The last step of a hospital's round is always kept."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}

    def drops(self, event: Progress | StepDone | Resources | BenchmarkProgress) -> bool:
        """Whether to leave this one out."""
        if isinstance(event, StepDone) and event.step == event.steps:
            return False
        key = (
            f"{type(event).__name__}/{getattr(event, 'hospital', '')}/{getattr(event, 'what', '') or getattr(event, 'item', '')}"
        )
        now = self._clock()
        if now - self._last.get(key, float("-inf")) < INTERVAL_SECONDS:
            return True
        self._last[key] = now
        return False
