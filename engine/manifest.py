"""`manifest.json`: what a run is and how far it came. Written by the engine, read by both processes; no tensor library here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from engine.errors import RunError
from engine.protocol import Ending
from engine.settings import RunConfig
from engine.version import __version__

FILE = "manifest.json"
LOCK = ".lock"
"""Held by the engine that works on the run."""
SCHEMA = 1


class Manifest(Struct, kw_only=True):
    """What a run is and how far it came."""

    run: str
    config: RunConfig
    hospitals: tuple[str, ...]
    created: float
    """Unix time."""
    rounds: int
    completed: int = 0
    """Rounds that are safely on disk."""
    status: Ending | Literal["running", "interrupted"] = "running"
    """`running` also stands in the file after a kill; whoever lists runs looks at the lock and says `interrupted` then."""
    model_digest: str = ""
    quantization: str = ""
    schema: int = SCHEMA
    version: str = __version__


def read_manifest(folder: Path) -> Manifest:
    """Raises RunError when there is no run, or its manifest is damaged or of a newer schema."""
    path = folder / FILE
    try:
        data = path.read_bytes()
        schema = json.loads(data)["schema"]
        if schema != SCHEMA:
            raise RunError(
                f"was written with schema {schema}, this program reads {SCHEMA}.",
                where=str(path),
                hint="Use the version of fedmed-tui that wrote it.",
            )
        return msgspec.json.decode(data, type=Manifest)
    except FileNotFoundError:
        raise RunError("there is no such run.", where=str(folder), hint="`fedmed-tui runs` lists yours.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"is damaged: {error}.", where=str(path), hint="Restore it from a copy, or start a new run.") from None
