"""Names and small tools that the command-line tests share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRAINED = "trained"
"""The finished run of the `trained_run` fixture."""
TOLD = "told.txt"
"""What training it printed, in the `trained_home` folder."""
QUICK = ("--set", "training.local_steps=2", "--set", "data.validation_pairs=2")


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file in place."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
