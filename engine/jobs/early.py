"""What can be wrong with a run, looked at before the tensor libraries are imported, which takes seconds: it shows at once."""

from __future__ import annotations

from engine import locations
from engine.data.partition import list_hospitals, read_partition
from engine.errors import RunError
from engine.manifest import read_manifest
from engine.model.sources import check_local
from engine.protocol import ResumeRun, StartRun
from engine.settings import RunConfig


def check_start(command: StartRun) -> None:
    """Raises RunError when a run of that name exists; DataError, ModelError when its pairs or its model cannot be used."""
    path = locations.run_folder(command.run)
    if (path / "manifest.json").exists():
        raise RunError("a run of this name exists.", where=str(path), hint="Choose another name, or resume it.")
    _check(command.config)


def check_resume(command: ResumeRun) -> None:
    """Raises RunError when there is no such run or nothing of it is left to do; DataError, ModelError as for a new run."""
    path = locations.run_folder(command.run)
    manifest = read_manifest(path)
    rounds = command.rounds or manifest.config.training.rounds
    unfinished = manifest.completed < rounds or (manifest.completed == rounds and manifest.status != "done")
    if not unfinished:  # killed after its last round, a run has only its end left to be written
        hint = "Resume it with more rounds, or start a new run."
        raise RunError(f"all its {rounds} rounds are done.", where=str(path), hint=hint)
    _check(manifest.config)


def _check(config: RunConfig) -> None:
    check_local(config.model.source)
    if config.federation.name:
        return  # the pairs are at the hospitals
    folder = locations.data_folder(config.data.folder)
    for name in config.data.hospitals or list_hospitals(folder):
        read_partition(folder, name)
