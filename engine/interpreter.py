"""Python processes that this program starts, so that each runs this installation's code and none that lies in its working folder.

`python -m` puts the working folder before everything else that is imported: a `json.py` in a folder of data, or in a kit that
somebody sent, would be run. `-P` leaves it out, and `SAFE` does so for processes that a library starts in turn.
"""

from __future__ import annotations

import sys
from pathlib import Path

SAFE = {"PYTHONSAFEPATH": "1"}
"""Environment of processes that start others by themselves."""


def module_argv(module: str, *arguments: str | Path) -> list[str]:
    """The command line that runs an installed module."""
    return [sys.executable, "-P", "-m", module, *map(str, arguments)]
