"""`manifest.json`: what a run is and how far it came. Written by the engine, read by both processes; no tensor library here."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from engine import strict_json
from engine.errors import RunError
from engine.files import read_regular
from engine.messages import Moment, Round
from engine.protocol import Ending
from engine.settings import RunConfig
from engine.version import __version__

FILE = "manifest.json"
LOCK = ".lock"
"""Held by the engine that works on the run."""
SCHEMA = 1
MAX_BYTES = 2**24


class Manifest(Struct, kw_only=True):
    """What a run is and how far it came."""

    run: str
    config: RunConfig
    hospitals: tuple[str, ...]
    created: Moment
    """Unix time."""
    rounds: Round
    completed: Round = 0
    """Rounds that are safely on disk."""
    status: Ending | Literal["running", "interrupted"] = "running"
    """`running` also stands in the file after a kill; whoever lists runs looks at the lock and says `interrupted` then."""
    model_digest: str = ""
    quantization: str = ""
    schema: int = SCHEMA
    version: str = __version__


class _Schema(Struct):
    schema: int


_decoder = msgspec.json.Decoder(Manifest)
_schema_decoder = msgspec.json.Decoder(_Schema)


def read_manifest(folder: Path) -> Manifest:
    """Raises RunError when there is no run, or its manifest is damaged or of a newer schema."""
    path = folder / FILE
    try:
        data = read_regular(path, MAX_BYTES)
        schema = strict_json.decode(data, _schema_decoder).schema
        if schema != SCHEMA:
            raise RunError(
                f"was written with schema {schema}, this program reads {SCHEMA}.",
                where=str(path),
                hint="Use the version of fedmed-tui that wrote it.",
            )
        manifest = strict_json.decode(data, _decoder)
    except FileNotFoundError:
        raise RunError("there is no such run.", where=str(folder), hint="`fedmed-tui runs` lists yours.") from None
    except (OSError, ValueError) as error:
        raise RunError(f"is damaged: {error}.", where=str(path), hint="Restore it from a copy, or start a new run.") from None
    manifest.run = folder.name  # whatever the file says: a folder that was copied or came from elsewhere is a run of its own
    return manifest
