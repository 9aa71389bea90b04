"""A round's updates on disk, so that the coordinator's memory does not grow with the number of hospitals.

    output-models/<run>/.updates.partial/hospital_A.safetensors …

An update's tensors go there as soon as they have passed its own checks, and are read from there, tensor by tensor, by everything
that comes after. The folder is emptied when the round is saved, however the run ends, and, by its name, when the run is resumed.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from engine.data.pairs import folder_of
from engine.federated.update import Update
from engine.files import disk_error
from engine.model.adapters import Stored

FOLDER = ".updates.partial"


class Spool:
    """The updates of the round in progress, one file for each hospital, in a run's folder."""

    def __init__(self, run_path: Path) -> None:
        self._folder = run_path / FOLDER

    def keep(self, update: Update) -> Update:
        """The same update, its adapter on disk. Raises RunError when the disk refuses."""
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise disk_error(self._folder, error) from None
        return replace(update, adapter=Stored(update.adapter, spooled(self._folder.parent, update.hospital)))

    def clear(self) -> None:
        """The round is over."""
        shutil.rmtree(self._folder, ignore_errors=True)


def spooled(run_path: Path, hospital: str) -> Path:
    """Where a hospital's adapter of the round in progress is, once it has come."""
    return run_path / FOLDER / f"{folder_of(hospital)}.safetensors"
