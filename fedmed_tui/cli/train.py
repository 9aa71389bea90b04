"""`fedmed-tui train`: a run from start to finish, without a screen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import toml
from engine.errors import SettingsError
from engine.protocol import AnyCommand, ResumeRun, StartRun
from engine.settings import load_config
from fedmed_tui import runs
from fedmed_tui.cli import DONE
from fedmed_tui.cli.output import event_output
from fedmed_tui.cli.session import run_job

JOB = "train"
CHANGEABLE = {
    "training.rounds": "rounds",
    "model.device": "device",
    "federation.quorum": "quorum",
    "federation.deadline_s": "deadline_s",
}
"""Settings that a run may be given anew when it is resumed, each with its name in the command."""


def train(
    *,
    preset: Annotated[str, typer.Option(help="demo (any laptop) or reference (a CUDA card).", show_default="demo")] = "",
    config: Annotated[Path | None, typer.Option(metavar="FILE.toml", help="Settings; the flags below win over it.")] = None,
    rounds: Annotated[int | None, typer.Option(help="training.rounds")] = None,
    seed: Annotated[int | None, typer.Option(help="seed")] = None,
    data: Annotated[str | None, typer.Option(metavar="FOLDER", help="data.folder: one partition per hospital.")] = None,
    hospitals: Annotated[str | None, typer.Option(metavar="A,B", help="data.hospitals: who takes part.")] = None,
    federation: Annotated[
        str | None, typer.Option(metavar="NAME", help="federation.name: train where its hospitals are.")
    ] = None,
    max_pairs: Annotated[int | None, typer.Option(help="data.max_pairs: training pairs per hospital.")] = None,
    model: Annotated[str | None, typer.Option(help="model.source: auto, bundled, a folder, or a hub id.")] = None,
    quantization: Annotated[str | None, typer.Option(help="model.quantization: auto, nf4 or none.")] = None,
    device: Annotated[str | None, typer.Option(help="model.device: auto, cpu or cuda.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any setting; may be repeated.")
    ] = None,
    run: Annotated[str, typer.Option(metavar="NAME", help="The run's name.", show_default="preset and time")] = "",
    resume: Annotated[str, typer.Option(metavar="RUN", help="Go on with a run from its last complete round.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Standard output is the engine's events, one a line.")] = False,
) -> int:
    """Train the hospitals' shared adapter. `fedmed-tui settings` lists every setting.

    The adapters, and a record of every event, are left in output-models/RUN. Ctrl+C stops the run; --resume goes on with it.
    """
    flags = {
        "training.rounds": rounds,
        "seed": seed,
        "data.folder": data,
        "data.hospitals": hospitals.split(",") if hospitals is not None else None,
        "federation.name": federation,
        "data.max_pairs": max_pairs,
        "model.source": model,
        "model.quantization": quantization,
        "model.device": device,
    }
    overrides = parse_settings(settings or []) | {name: value for name, value in flags.items() if value is not None}
    if resume:
        if preset or config or run or overrides.keys() - CHANGEABLE.keys():
            raise SettingsError(
                "a resumed run keeps its settings, but for rounds, device, federation.quorum and federation.deadline_s.",
                where="--resume",
                hint="Leave the other options out, or start a new run.",
            )
        run = resume
        command: AnyCommand = ResumeRun(job=JOB, run=run, **_changes(overrides))
    else:
        chosen = load_config(config, preset_name=preset, overrides=overrides)
        run = run or runs.new_run_name(chosen)
        command = StartRun(job=JOB, run=run, config=chosen)
    with event_output(as_json=as_json) as show:
        code = run_job(command, show)
    _say_what_next(run, finished=code == DONE)
    return code


def _changes(overrides: dict[str, Any]) -> dict[str, Any]:
    """What a resumed run is told to do otherwise. Raises SettingsError when it is out of range."""
    load_config(overrides=overrides)
    return {CHANGEABLE[name]: value for name, value in overrides.items()}


def parse_settings(assignments: list[str]) -> dict[str, Any]:
    """`["training.rounds=5"]` → `{"training.rounds": 5}`; a value that is not TOML is taken as text.

    Raises:
        SettingsError: not of the form section.key=value.
    """
    parsed: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not (name and equals and value):
            raise SettingsError(
                "is not of the form section.key=value.", where=f"--set {assignment}", hint="For example --set training.rounds=5."
            )
        parsed[name.strip()] = _value(value)
    return parsed


def _value(text: str) -> Any:
    try:
        return toml.parse(f"value = {text}")["value"]
    except ValueError:
        return text


def _say_what_next(run: str, *, finished: bool) -> None:
    if finished:
        print(f"Ask it something: fedmed-tui chat --hospital global --run {run}", file=sys.stderr)
    else:
        print(f"Stopped. Go on with it: fedmed-tui train --resume {run}", file=sys.stderr)
