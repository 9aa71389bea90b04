"""How each hospital of a federation is connected right now, and what went to and fro: read from a run's state."""

from __future__ import annotations

from typing import Literal

from fedmed_tui.state import RunState

Link = Literal["joined", "training", "uploading", "resting", "late", "refused", "lost"]


def link(run: RunState, hospital: str) -> Link:
    """What the hospital is doing in the round in progress, or did in the last one."""
    latest = run.rounds[max(run.rounds)] if run.rounds else None
    at = latest.hospitals.get(hospital) if latest else None
    if at is not None and at.lost is not None:
        return at.lost.kind if at.lost.kind in ("late", "refused") else "lost"
    if latest is not None and latest.rests(hospital):
        return "resting"
    if at is None:
        return "joined"
    if at.update is not None or not at.steps:
        return "joined"
    return "uploading" if at.step == at.steps else "training"


def traffic(run: RunState, hospital: str) -> tuple[int, int]:
    """Bytes down to the hospital and up from it in the rounds so far, by the ledger."""
    carried = run.record.carried
    return carried[hospital, "down"], carried[hospital, "up"]
