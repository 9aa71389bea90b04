"""Where each hospital of a run stands: its latest losses and weight. Pure functions of the state."""

from __future__ import annotations

from fedmed_tui.state import RunState


def latest_loss(run: RunState, hospital: str) -> float | None:
    """Validation loss of the newest global adapter that was evaluated at a hospital (of the base model before round 1)."""
    series = run.loss_series(hospital)
    return series[next(reversed(series))] if series else None


def latest_weight(run: RunState, hospital: str) -> float | None:
    """How much a hospital counted when adapters were last aggregated."""
    for number in reversed(run.rounds):
        at = run.rounds[number].hospitals.get(hospital)
        if at is not None and at.weight is not None:
            return at.weight.weight
    return None


def training_loss(run: RunState, hospital: str) -> float | None:
    """Mean of its last finished local training, or the latest step while it trains for the first time."""
    for number in reversed(run.rounds):
        at = run.rounds[number].hospitals.get(hospital)
        if at is not None and at.update is not None:
            return at.update.loss
        if at is not None and at.step_loss is not None:
            return at.step_loss
    return None


def best_hospital(run: RunState) -> str:
    """The hospital with the lowest validation loss once a round is done; empty before."""
    losses = {one.name: latest_loss(run, one.name) for one in run.hospitals} if run.completed else {}
    known = {name: loss for name, loss in losses.items() if loss is not None}
    return min(known, key=lambda name: known[name], default="")


def local_loss(run: RunState, hospital: str) -> float | None:
    """Validation loss of a hospital's own latest adapter on its own pairs, before aggregation."""
    for number in reversed(run.rounds):
        at = run.rounds[number].hospitals.get(hospital)
        if at is not None and at.local_loss is not None:
            return at.local_loss
    return None
