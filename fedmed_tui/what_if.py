"""What if the hospitals had counted otherwise: the weights a person tries, and the engine's answers. Knows no Textual.

Weights are those of the update's share in the new adapter, step size included: they need not add up to 1. Every run has its own.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import FedMedError
from engine.protocol import AnyEvent, Failure, JobFinished, Progress, WhatIf, WhatIfEvaluated
from fedmed_tui.engine_client import EngineClient
from fedmed_tui.failures import complaint
from fedmed_tui.state import RunState

STEP = 0.05
LARGEST = 2.0
"""A weight is moved by so much at a time, and not above this."""


class WhatIfDesk:
    """The weights that are tried, and what came of it.

    Args:
        engine: the engine process; raises EngineError when it is not running.
        new_job: a job's name that was never used.
        changed: called when something on the screens is no longer up to date.
    """

    def __init__(self, engine: Callable[[], EngineClient], new_job: Callable[[str], str], changed: Callable[[], None]) -> None:
        self._engine = engine
        self._new_job = new_job
        self._changed = changed
        self._moved: dict[str, dict[str, float]] = {}  # by run, the weights that were moved
        self._answers: dict[str, WhatIfEvaluated] = {}  # by run
        self.job = ""
        """The question that is being evaluated; empty when there is none."""
        self.progress: Progress | None = None
        self._asked_of = ""  # the run that the last question is about
        self._failures: dict[str, str] = {}  # by run

    # --- weights ---------------------------------------------------------------------------------------------------------------

    def used(self, run: RunState) -> dict[str, float]:
        """The weights of the run's newest finished round; empty before the first."""
        state = run.rounds.get(run.completed)
        event = state.aggregated if state else None
        return {one.hospital: one.weight * event.scale for one in event.weights} if event else {}

    def weights(self, run: RunState) -> dict[str, float]:
        """The weights to try: the run's own, but for those that were moved."""
        moved = self._moved.get(run.run, {})
        return {name: moved.get(name, weight) for name, weight in self.used(run).items()}  # some may rest in the newest round

    def answer(self, run: RunState) -> WhatIfEvaluated | None:
        """The latest answer about a run."""
        return self._answers.get(run.run)

    def failure(self, run: RunState) -> str:
        """Why the last question about a run has no answer; empty when it has one, or was never asked."""
        return self._failures.get(run.run, "")

    def move(self, run: RunState, hospital: str, steps: int) -> None:
        """Move one hospital's weight up or down."""
        self.set(run, hospital, (round(self.weights(run)[hospital] / STEP) + steps) * STEP)

    def set(self, run: RunState, hospital: str, weight: float) -> None:
        """Give one hospital a weight."""
        self._moved.setdefault(run.run, {})[hospital] = round(min(max(weight, 0.0), LARGEST), 2)
        self._changed()

    def reset(self, run: RunState) -> None:
        """Back to the run's own weights."""
        self._moved.pop(run.run, None)
        self._changed()

    # --- asking and hearing ----------------------------------------------------------------------------------------------------

    def ask(self, run: RunState) -> None:
        """Let the hospitals evaluate the weights; one question at a time. What goes wrong becomes its `failure`."""
        if self.job or not self.used(run):
            return
        job = self._new_job("what-if")
        self._asked_of = run.run
        self._failures.pop(run.run, None)
        try:
            self._engine().send(WhatIf(job=job, run=run.run, weights=self.weights(run)))
        except FedMedError as error:
            self._failed(str(error))
        else:
            self.job, self.progress = job, None
        self._changed()

    async def stop(self) -> None:
        """Cancel the question that is being evaluated."""
        if self.job:
            await self._engine().cancel(self.job)

    def take(self, event: AnyEvent) -> None:
        """One event from the engine. Those of other jobs change nothing."""
        if not self.job or getattr(event, "job", "") != self.job:
            return
        match event:
            case Progress():
                self.progress = event
            case WhatIfEvaluated():
                self._answers[event.run] = event
            case Failure():
                self._failed(complaint(event))
            case JobFinished():
                self.job, self.progress = "", None

    def engine_ended(self) -> None:
        """No answer will come any more."""
        if self.job:
            self.job, self.progress = "", None
            self._failed("The engine ended before the answer was complete.")

    def _failed(self, why: str) -> None:
        self._failures[self._asked_of] = why
