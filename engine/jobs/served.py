"""Which adapter a name means: in the run in progress, in a run's folder, or after an earlier round."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from engine import locations
from engine.errors import ModelError
from engine.federated.checkpoint import adapter_folder, read_round
from engine.federated.spool import spooled
from engine.jobs.context import Engine
from engine.manifest import Manifest, read_manifest
from engine.model.adapters import Adapter, fitted, from_bytes, load_adapter
from engine.model.decoding import Served
from engine.model.foreign import WEIGHTS_FILE, check_tensors
from engine.protocol import BASE, GLOBAL

EARLIER = re.compile(rf"{GLOBAL}@(\d+)")


@dataclass(frozen=True)
class Adapters:
    """Where names are looked up.

    Args:
        engine: holds the run in progress.
        run: a run's name; empty is the run in progress, or no run at all.
    """

    engine: Engine
    run: str

    @property
    def manifest(self) -> Manifest | None:
        """The run's manifest; None without a run. Raises RunError when there is no such run."""
        name = self.run or self.engine.live_run
        return read_manifest(locations.run_folder(name)) if name else None

    def find(self, name: str) -> tuple[Served, str]:
        """The adapter, and a note for the reader when it is not what was asked for.

        Raises:
            ModelError, RunError: no such run, no such adapter, or its file is damaged.
        """
        if name == BASE:
            return Served(), ""
        if earlier := EARLIER.fullmatch(name):
            return self._after_round(int(earlier[1])), ""
        manifest = self.manifest
        if manifest is not None and (found := self._newest(manifest, name)):
            return found, ""
        if self.run and not self._is_live:
            raise self._unknown(name)
        return Served(), f"{name} has no adapter yet: this is the base model's answer."

    @property
    def _is_live(self) -> bool:
        return bool(self.engine.live_run) and self.run in ("", self.engine.live_run)

    def _newest(self, manifest: Manifest, name: str) -> Served | None:
        """What has come in the round in progress, else what the last round has left; None when there is neither."""
        path = locations.run_folder(manifest.run)
        come, folder = spooled(path, name), adapter_folder(path, name)
        if self._is_live and come.is_file():
            return served(manifest, from_bytes(come.read_bytes(), where=str(come)), come)
        if not (folder / WEIGHTS_FILE).is_file():
            return None
        lora, tensors = load_adapter(folder)
        return Served(tensors, lora)

    def _after_round(self, number: int) -> Served:
        manifest = self.manifest
        folder = locations.run_folder(manifest.run) / "rounds" / f"{number:03d}" if manifest else None
        if manifest is None or folder is None or not folder.is_dir():
            raise self._unknown(f"{GLOBAL}@{number}")
        return served(manifest, read_round(folder).adapter, folder)

    def _unknown(self, name: str) -> ModelError:
        manifest = self.manifest
        if manifest is None:
            return ModelError(f"there is no adapter '{name}' without a run.", where="adapter", hint="Name a run, or ask base.")
        known = ", ".join((BASE, GLOBAL, *manifest.hospitals, *(f"{GLOBAL}@{at + 1}" for at in range(manifest.completed))))
        hint = f"It has: {known}." if manifest.completed else "It has not finished a round yet."
        return ModelError(f"the run has no adapter '{name}'.", where=manifest.run, hint=hint)


def served(manifest: Manifest, tensors: Adapter, path: Path) -> Served:
    """Tensors without a configuration of their own: in the shape of the run's. Raises ModelError when they are of none."""
    lora = fitted(manifest.config.lora, tensors)
    check_tensors(lora, tensors, where=str(path))
    return Served(tensors, lora)
