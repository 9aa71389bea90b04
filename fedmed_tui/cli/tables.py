"""Tables on standard output: framed on a terminal, bare columns in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Collection

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.plain_text import on_one_line

PIPE_WIDTH = 200
"""Columns a table may take when nobody's terminal limits it."""


def new_table(*titles: str, right: Collection[str] = ()) -> Table:
    """A table with these columns; those named in `right` are numbers, and right-aligned."""
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    for title in titles:
        table.add_column(Text(on_one_line(title)), justify="right" if title in right else "left")
    return table


def add_row(table: Table, *cells: str) -> None:
    """One row of text from anywhere: no markup, no line of its own."""
    table.add_row(*(Text(on_one_line(cell)) for cell in cells))


def console() -> Console:
    """Standard output."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
