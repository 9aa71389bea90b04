"""TOML files of anybody's. No tensor library here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from engine.files import read_regular

MAX_BYTES = 2**16
"""Every setting with its meaning takes a tenth of it."""
MAX_PARTS = 16
"""Of a key, `section.name`: the parser takes memory with the square of them, gigabytes for a key of some ten thousand."""
_LONG_KEY = re.compile(rf"""(?:\.[ \t]*(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*){{{MAX_PARTS}}}""")


def read(path: Path) -> dict[str, Any]:
    """What a file says. Raises OSError, UnicodeDecodeError when it is not UTF-8, ValueError when it is not TOML."""
    return parse(read_regular(path, MAX_BYTES).decode())


def parse(text: str) -> dict[str, Any]:
    """What a text says. Raises ValueError when it is not TOML."""
    if _LONG_KEY.search(text):
        raise ValueError(f"a key of it has more than {MAX_PARTS} parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
