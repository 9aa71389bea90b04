"""The sentence that stands under every answer, on every surface."""

from __future__ import annotations

from engine.protocol import DISCLAIMER

__all__ = ["DISCLAIMER"]
