"""What is known of a run, rebuilt from its events by one pure reducer.

Live screens, `fedmed-tui replay`, the benchmark export and the tests all call `RunState.apply` with the same events in the same
order and see the same state. Nothing here draws or does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Any

from engine.benchmark.record import RunRecord
from engine.protocol import (
    Aggregated,
    AnyEvent,
    Evaluated,
    HospitalInfo,
    HospitalLost,
    HospitalWeight,
    ModelLoaded,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunStarted,
    Stamped,
    StepDone,
    TrafficCounted,
    TrainingStarted,
    UpdateReceived,
)
from engine.settings import RunConfig
from fedmed_tui.feed import FeedLine, sentence

FEED_LIMIT = 500


@dataclass
class HospitalRound:
    """One hospital in one round. Losses are None until known."""

    step: int = 0
    steps: int = 0
    step_loss: float | None = None
    update: UpdateReceived | None = None
    local_loss: float | None = None
    """Its own adapter on its validation pairs, before aggregation."""
    global_loss: float | None = None
    """The new global adapter on its validation pairs; in round 0, the base model."""
    weight: HospitalWeight | None = None
    lost: HospitalLost | None = None
    """Why it is left out, if it is."""


@dataclass
class RoundState:
    """One round. Round 0 holds the base model's evaluation."""

    number: int
    started: float | None = None
    """Unix time of its `RoundStarted`."""
    drawn: tuple[str, ...] = ()
    """Hospitals that train in it, where only a part does; empty is everybody."""
    hospitals: dict[str, HospitalRound] = field(default_factory=dict)
    training: str = ""
    """The hospital that is training now."""
    aggregated: Aggregated | None = None
    finished: RoundFinished | None = None
    carrying: float = 0.0
    """Seconds in which its messages were on their way and no hospital worked; 0 in one process."""
    trained: float | None = None
    """Unix time when the last hospital had returned its update or was left out."""
    judged: float | None = None
    """Unix time when the updates were aggregated."""
    ended: float | None = None
    """Unix time of its `RoundFinished`."""

    @property
    def parts(self) -> tuple[float, float, float] | None:
        """Seconds of training, judging and evaluating; None until all three are known."""
        if self.started is None or self.trained is None or self.judged is None or self.ended is None:
            return None
        return self.trained - self.started, self.judged - self.trained, self.ended - self.judged

    @property
    def returned(self) -> int:
        """Hospitals that have returned an update."""
        return sum(at.update is not None for at in self.hospitals.values())

    @property
    def evaluated(self) -> int:
        """Hospitals that have evaluated the new global adapter."""
        return sum(at.global_loss is not None for at in self.hospitals.values())

    def rests(self, hospital: str) -> bool:
        """Whether a hospital does not train in this round, because others were drawn."""
        return bool(self.drawn) and hospital not in self.drawn


@dataclass
class RunState:
    """A run as the screens show it."""

    run: str = ""
    config: RunConfig | None = None
    hospitals: tuple[HospitalInfo, ...] = ()
    model: ModelLoaded | None = None
    rounds: dict[int, RoundState] = field(default_factory=dict)
    feed: list[FeedLine] = field(default_factory=list)
    finished: RunFinished | None = None
    first_round: int = 1
    """The first round since the run was started or resumed: the pace is measured from there."""
    last_time: float = 0.0
    last_seq: int = 0
    """Number of the newest event taken in."""
    record: RunRecord = field(default_factory=RunRecord)
    """The same events as a benchmark reads them."""
    _losses: dict[str, dict[int, float]] = field(default_factory=dict)
    _means: dict[int, float] = field(default_factory=dict)
    _evaluated: dict[int, set[str]] = field(default_factory=dict)

    def apply(self, stamped: Stamped) -> None:
        """Take one event in. Events that do not concern a run change nothing."""
        self.last_time, self.last_seq = stamped.time, stamped.seq
        kind = type(stamped.event)
        _REDUCE.dispatch(kind)(self, stamped.event, stamped.time)
        _RECORD.dispatch(kind)(self.record, stamped.event)
        text = sentence(stamped.event)
        if text:
            self.feed.append(FeedLine(time=stamped.time, text=text))
            del self.feed[:-FEED_LIMIT]

    # --- derived ---------------------------------------------------------------------------------------------------------------

    @property
    def total_rounds(self) -> int:
        """Rounds the run is set to take."""
        return self.config.training.rounds if self.config else 0

    @property
    def completed(self) -> int:
        """Rounds that are finished."""
        return next((number for number, state in reversed(self.rounds.items()) if state.finished), 0)

    @property
    def current(self) -> RoundState | None:
        """The round in progress, or None between rounds."""
        if self.finished is not None:
            return None
        return next((state for state in reversed(self.rounds.values()) if state.number > 0 and not state.finished), None)

    def loss_series(self, hospital: str) -> dict[int, float]:
        """Validation loss of the global adapter on a hospital's pairs, by round; round 0 is the base model."""
        return dict(self._losses.get(hospital, {}))

    def macro_series(self) -> dict[int, float]:
        """Mean over hospitals of `loss_series`, for rounds in which every hospital was evaluated."""
        return dict(self._means)

    def asked(self, state: RoundState) -> int:
        """How many hospitals train in a round."""
        return len(state.drawn or self.hospitals)

    # --- reducer ---------------------------------------------------------------------------------------------------------------

    @singledispatchmethod
    def _apply(self, event: AnyEvent, time: float) -> None:
        """Events of no concern to a run."""

    @_apply.register
    def _(self, event: ModelLoaded, time: float) -> None:
        self.model = event

    @_apply.register
    def _(self, event: RunStarted, time: float) -> None:
        if event.run != self.run:
            self._forget_rounds(after=-1)
            self.feed.clear()
        self.run, self.config, self.hospitals, self.finished = event.run, event.config, event.hospitals, None
        self.first_round = event.completed + 1
        self._forget_rounds(after=event.completed)  # a round cut short is done again from its start

    @_apply.register
    def _(self, event: RoundStarted, time: float) -> None:
        self._forget(event.round)
        self.rounds[event.round] = RoundState(number=event.round, started=time, drawn=event.drawn)

    @_apply.register
    def _(self, event: TrainingStarted, time: float) -> None:
        self._round(event.round).training = event.hospital
        self._at(event.round, event.hospital).steps = event.steps

    @_apply.register
    def _(self, event: StepDone, time: float) -> None:
        at = self._at(event.round, event.hospital)
        at.step, at.steps, at.step_loss = event.step, event.steps, event.loss

    @_apply.register
    def _(self, event: UpdateReceived, time: float) -> None:
        at = self._at(event.round, event.hospital)
        at.update, at.step, at.steps = event, event.steps, event.steps
        self._ends_training(event.round, time)

    @_apply.register
    def _(self, event: HospitalLost, time: float) -> None:
        at = self._at(event.round, event.hospital)
        at.lost = event
        if event.during == "training":
            at.update = None
            self._ends_training(event.round, time)

    @_apply.register
    def _(self, event: Evaluated, time: float) -> None:
        at = self._at(event.round, event.hospital)
        if event.stage == "local":
            at.local_loss = event.loss
        else:
            at.global_loss = event.loss
            self._losses.setdefault(event.hospital, {})[event.round] = event.loss
            self._take_mean(event.round, event.hospital)

    @_apply.register
    def _(self, event: Aggregated, time: float) -> None:
        state = self._round(event.round)
        state.aggregated, state.judged = event, time
        state.trained = state.trained or time
        for weight in event.weights:
            self._at(event.round, weight.hospital).weight = weight

    @_apply.register
    def _(self, event: TrafficCounted, time: float) -> None:
        self._round(event.round).carrying = event.carrying

    @_apply.register
    def _(self, event: RoundFinished, time: float) -> None:
        state = self._round(event.round)
        state.finished, state.ended = event, time

    @_apply.register
    def _(self, event: RunFinished, time: float) -> None:
        self.finished = event

    def _ends_training(self, number: int, time: float) -> None:
        """A hospital is through with a round's training; maybe it was the last."""
        state = self._round(number)
        state.training = ""
        if sum(at.update is not None or at.lost is not None for at in state.hospitals.values()) >= self.asked(state):
            state.trained = time

    def _take_mean(self, number: int, hospital: str) -> None:
        """The round's mean, once every hospital was evaluated."""
        seen = self._evaluated.setdefault(number, set())
        seen.add(hospital)
        if len(seen) >= len(self.hospitals) and seen.issuperset(one.name for one in self.hospitals):
            losses = [self._losses[one.name][number] for one in self.hospitals]
            self._means[number] = sum(losses) / len(losses) if losses else 0.0

    def _forget_rounds(self, after: int) -> None:
        for number in [number for number in self.rounds if number > after]:
            self._forget(number)

    def _forget(self, number: int) -> None:
        by_rounds: tuple[dict[int, Any], ...] = (self.rounds, self._means, self._evaluated, *self._losses.values())
        for by_round in by_rounds:
            by_round.pop(number, None)

    def _round(self, number: int) -> RoundState:
        return self.rounds.setdefault(number, RoundState(number=number))

    def _at(self, number: int, hospital: str) -> HospitalRound:
        return self._round(number).hospitals.setdefault(hospital, HospitalRound())


_REDUCE = RunState.__dict__["_apply"].dispatcher
_RECORD = RunRecord.__dict__["apply"].dispatcher
"""Called by type directly: binding a method for each of a long run's million events would take longer than all the rest."""
