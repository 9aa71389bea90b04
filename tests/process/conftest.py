"""A real engine process, driven over its pipes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from engine.protocol import AnyEvent, Failure, Stamped
from engine.settings import RunConfig, load_config
from fedmed_tui.engine_client import EngineClient, EngineExit

PATIENCE = 300.0
"""Seconds before a test gives an engine up; nothing here is timed."""


class Driver:
    """One engine process and everything it has said."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.exit: EngineExit | None = None
        self._news = asyncio.Event()
        self.client = EngineClient(self._take, self._ended, attached=False)

    def _take(self, stamped: Stamped) -> None:
        self.events.append(stamped.event)
        self._news.set()

    def _ended(self, ending: EngineExit) -> None:
        self.exit = ending
        self._news.set()

    def all(self, kind: type[Any]) -> list[Any]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[Any], matches: Callable[[Any], bool] = lambda event: True, *, may_fail: bool = False) -> Any:
        """The first event of this kind that matches; fails when the engine ends, or unless `may_fail` a job fails, before."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and matches(event):
                        return event
                assert self.exit is None, f"the engine ended first: {self.exit}; it said {self.events[-3:]}"
                assert may_fail or not self.all(Failure), f"a job failed first: {self.all(Failure)}"
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def engine() -> AsyncIterator[Driver]:
    """A running engine; ended at the end of the block whatever happened."""
    driver = Driver()
    await driver.client.start()
    try:
        yield driver
    finally:
        await driver.client.stop()


def tiny_config(model: Path, **overrides: Any) -> RunConfig:
    """A run of a few seconds on the tiny model."""
    settings: dict[str, Any] = {
        "model.source": str(model),
        "model.quantization": "none",
        "lora.rank": 2,
        "training.rounds": 3,
        "training.local_steps": 3,
        "training.max_tokens": 96,
        "data.max_pairs": 12,
        "data.validation_pairs": 4,
    }
    return load_config(overrides=settings | {key.replace("__", "."): value for key, value in overrides.items()})
