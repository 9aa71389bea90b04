"""What is known of the engine process: is it up, what does it hold in memory, what is it busy loading, how did it end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatchmethod

from engine.protocol import AnyEvent, EngineReady, JobFinished, ModelLoaded, Progress, Resources, RoundStarted
from fedmed_tui.engine_client import EngineExit


@dataclass
class EngineStatus:
    """One engine process, rebuilt from its events."""

    ready: bool = False
    """It reads commands."""
    model: ModelLoaded | None = None
    """The base model it holds in memory."""
    resources: Resources | None = None
    progress: Progress | None = None
    """Work outside training that is not done."""
    exit: EngineExit | None = None
    """How it ended, once it has."""

    def end(self, how: EngineExit) -> None:
        """The process is gone."""
        self.exit, self.ready, self.progress = how, False, None

    @singledispatchmethod
    def take(self, event: AnyEvent) -> None:
        """Take one event in. Events that do not concern the process change nothing."""

    @take.register
    def _(self, event: EngineReady) -> None:
        self.ready = True

    @take.register
    def _(self, event: Progress) -> None:
        self.progress = event

    @take.register
    def _(self, event: Resources) -> None:
        self.resources = event

    @take.register
    def _(self, event: ModelLoaded) -> None:
        self.model, self.progress = event, None

    @take.register
    def _(self, event: RoundStarted) -> None:
        self.progress = None

    @take.register
    def _(self, event: JobFinished) -> None:
        if self.progress is not None and self.progress.job == event.job:
            self.progress = None
