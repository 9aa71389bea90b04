"""The benchmark snapshot: what is known of a run, written into one folder as JSON, CSV, Markdown and SVG.

Every number is one of the run's events and is labelled for what it is: losses named `validation_loss_*` are measured on pairs the
hospital does not train on, `training_loss` on the pairs it does train on.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine import locations
from engine.errors import RunError
from engine.files import REMOVE_LINK, disk_error, write_folder
from engine.plain_text import sheet_cell
from engine.protocol import UpdateReceived
from fedmed_tui import __version__
from fedmed_tui.report import markdown
from fedmed_tui.runs import load_state
from fedmed_tui.state import HospitalRound, RoundState, RunState

SCHEMA = 1
REPORT = "REPORT.md"
SHOWN_LINES = 300
"""Lines of a report that are drawn on the screen, under a millisecond each; a long run's has a hundred thousand."""
ALL = "all"
"""In the `hospital` column: the value is about all hospitals together."""


@dataclass(frozen=True)
class Measurement:
    """One number of one round, as a row of `snapshot.csv`."""

    round: int
    hospital: str
    metric: str
    value: float


def export_snapshot(state: RunState, folder: Path, screen_svg: str = "") -> Path:
    """Write a snapshot and return its own folder, `<folder>/snapshots/<time>/`. It is there complete or not at all.

    Args:
        state: the run, as rebuilt from its events.
        folder: the run's folder, or another one to write below.
        screen_svg: a picture of the screen to put beside the numbers; none when empty.

    Raises:
        RunError: no run in the state, `snapshots` leads elsewhere, or the folder cannot be written.
    """
    if not state.run:
        raise RunError("there is no run to export yet.", hint="Start one, or name an earlier one.")
    files = {
        "snapshot.json": _json(state),
        "snapshot.csv": _csv(state),
        REPORT: markdown(state),
    }
    if screen_svg:
        files["screen.svg"] = screen_svg

    def fill(work: Path) -> None:
        for file, text in files.items():
            (work / file).write_text(text, encoding="utf-8")

    parent = folder / "snapshots"
    if parent.is_symlink():
        raise RunError("snapshots are not written behind a link.", where=str(parent), hint=REMOVE_LINK)
    try:
        return write_folder(parent, time.strftime("%Y%m%d-%H%M%S"), fill)
    except OSError as error:
        raise disk_error(parent, error) from None


def export_run(run: str, folder: Path | None = None, screen_svg: str = "") -> Path:
    """As `export_snapshot`, of a run as its record tells it; into the run's own folder unless another one is named."""
    return export_snapshot(load_state(run), folder or locations.run_folder(run), screen_svg)


def list_exports(parent: Path) -> list[tuple[Path, str, float]]:
    """Every snapshot of every run below `parent`: its folder, the run's name, when it was written (Unix time)."""
    files = parent.glob("*/snapshots/*/snapshot.json")
    return [(file.parent, file.parents[2].name, file.stat().st_mtime) for file in files]


def read_report(folder: Path) -> str:
    """The beginning of the report in a snapshot's folder, or a sentence that it is not there any more."""
    try:
        lines = (folder / REPORT).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"{REPORT} cannot be read: {error.strerror}."
    left = len(lines) - SHOWN_LINES
    return "\n".join(lines[:SHOWN_LINES]) + (f"\n\n{left:,} more lines stand in {REPORT}." if left > 0 else "")


def measurements(state: RunState) -> Iterator[Measurement]:
    """Every number of the run, by round and hospital."""
    macro = state.macro_series()
    for number, at in sorted(state.rounds.items()):
        for hospital, values in sorted(at.hospitals.items()):
            for metric, value in _hospital_metrics(number, values).items():
                yield Measurement(number, hospital, metric, value)
        for metric, value in _round_metrics(at, macro.get(number)).items():
            yield Measurement(number, ALL, metric, value)


def _hospital_metrics(number: int, at: HospitalRound) -> dict[str, float]:
    known = {
        "validation_loss_base" if number == 0 else "validation_loss_global": at.global_loss,
        "validation_loss_local": at.local_loss,
        "weight": at.weight.weight if at.weight else None,
        "sample_share": at.weight.sample_share if at.weight else None,
    }
    metrics = {name: value for name, value in known.items() if value is not None}
    return metrics | (_update_metrics(at.update) if at.update else {})


def _update_metrics(update: UpdateReceived) -> dict[str, float]:
    return {
        "training_pairs": update.pairs,
        "training_steps": update.steps,
        "training_loss": update.loss,
        "training_loss_variance": update.variance,
        "training_tokens": update.tokens,
        "training_seconds": update.seconds,
        "update_bytes": update.bytes,
    }


def _round_metrics(at: RoundState, macro: float | None) -> dict[str, float]:
    metrics = {} if macro is None else {"validation_loss_base" if at.number == 0 else "validation_loss_global": macro}
    return metrics | ({"round_seconds": at.finished.seconds} if at.finished else {})


def _json(state: RunState) -> str:
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "fedmed_tui": __version__,
        "written": time.time(),
        "run": state.run,
        "outcome": state.finished.outcome if state.finished else "running",
        "rounds_completed": state.completed,
        "rounds": state.total_rounds,
        "config": state.config,
        "model": state.model,
        "hospitals": state.hospitals,
        "aggregations": [at.aggregated for _, at in sorted(state.rounds.items()) if at.aggregated],
        "measurements": [asdict(row) for row in measurements(state)],
    }
    return msgspec.json.format(msgspec.json.encode(record), indent=2).decode() + "\n"


def _csv(state: RunState) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["round", "hospital", "metric", "value"])
    writer.writerows([row.round, sheet_cell(row.hospital), row.metric, row.value] for row in measurements(state))
    return text.getvalue()
