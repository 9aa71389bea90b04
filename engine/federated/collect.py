"""The hospitals' answers of one round: checked, told, and enough of them to go on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field

from engine.aggregation.aggregator import Round
from engine.errors import RunError
from engine.federated.checks import out_of_line, unfit, unfit_evaluation
from engine.federated.transport import Transport
from engine.federated.update import Assignment, Evaluation, Lost, Update
from engine.model.adapters import Adapter, digest_of
from engine.protocol import AnyEvent, Duty, HospitalLost

Collecting = Generator[Update | AnyEvent | None, None, Round]


class Paused(RunError):
    """Too few hospitals took part in a round."""

    title = "Run paused"


@dataclass(frozen=True)
class Roster:
    """Who is asked, how many are needed, and what they sent last."""

    names: Sequence[str]
    quorum: int
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """Of the last round's updates, by hospital."""

    def require(self, number: int, left_out: Mapping[str, str]) -> None:
        """Raise Paused when too few are left."""
        left = len(self.names) - len(left_out)
        if left >= self.quorum:
            return
        told = "; ".join(f"{name}: {reason}" for name, reason in sorted(left_out.items()))
        raise Paused(
            f"{left} of {len(self.names)} hospitals are left in round {number}, {self.quorum} are needed. {told}.",
            where="federation.quorum",
            hint="Resume the run when they can take part again, or with a smaller quorum; every finished round is kept.",
        )


def as_it_is(update: Update) -> Update:
    """Keep an update in memory."""
    return update


def collect_updates(
    transport: Transport, task: Assignment, roster: Roster, keep: Callable[[Update], Update] = as_it_is
) -> Collecting:
    """The update of everybody on the roster.

    Yields the transport's events, each update that fits the model by itself, and who was left out.

    Args:
        keep: takes an update that fits the model, and gives the one to go on with, which may lie elsewhere.

    Raises:
        Paused: fewer updates can be used than the quorum.
    """
    fit: dict[str, Update] = {}
    left_out: dict[str, str] = {}

    def leave_out(lost: Lost) -> HospitalLost:
        fit.pop(lost.hospital, None)
        left_out[lost.hospital] = lost.reason
        return told(lost, task.round, "training")

    for item in transport.train(task):
        if not isinstance(item, Update | Lost):
            yield item
        elif _is_expected(item.hospital, roster.names, fit, left_out):
            lost = item if isinstance(item, Lost) else unfit(item, task)
            if lost is not None:
                yield leave_out(lost)
            elif isinstance(item, Update):
                fit[item.hospital] = keep(item)
                yield item
    for lost in (*_silent(roster.names, fit, left_out), *out_of_line(list(fit.values()), task, roster.fingerprints)):
        yield leave_out(lost)
    roster.require(task.round, left_out)
    return Round(task.round, task.start, [fit[name] for name in sorted(fit)], left_out)


def collect_evaluations(
    transport: Transport, adapters: Mapping[str, Adapter], number: int
) -> Generator[Evaluation | HospitalLost | None, None, dict[str, str]]:
    """Yields an evaluation, or who is lost, for each named hospital. Returns the lost ones with the reason."""
    answered: dict[str, Evaluation] = {}
    left_out: dict[str, str] = {}
    for item in transport.evaluate(adapters):
        if item is None:
            yield None
        elif _is_expected(item.hospital, adapters, answered, left_out):
            lost = item if isinstance(item, Lost) else unfit_evaluation(item)
            if lost is not None:
                left_out[lost.hospital] = lost.reason
                yield told(lost, number, "evaluation")
            elif isinstance(item, Evaluation):
                answered[item.hospital] = item
                yield item
    for lost in _silent(adapters, answered, left_out):
        left_out[lost.hospital] = lost.reason
        yield told(lost, number, "evaluation")
    return left_out


def told(lost: Lost, number: int, during: Duty) -> HospitalLost:
    """The event of a lost hospital."""
    return HospitalLost(round=number, hospital=lost.hospital, during=during, kind=lost.kind, reason=lost.reason)


def fingerprints(given: Round) -> dict[str, str]:
    """Of a round's updates, for the next round."""
    return {update.hospital: digest_of(update.adapter) for update in given.updates}


def _is_expected(name: str, names: Collection[str], *answered: Collection[str]) -> bool:
    """Answers of strangers and second answers are not heard."""
    return name in names and not any(name in one for one in answered)


def _silent(names: Collection[str], *answered: Collection[str]) -> list[Lost]:
    missing = sorted(name for name in names if _is_expected(name, names, *answered))
    return [Lost(name, "gone", "nothing came from it") for name in missing]
