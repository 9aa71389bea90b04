"""The sentence that stands under every answer, on every surface."""

from __future__ import annotations

DISCLAIMER = "Not medical advice: a small language model wrote this. For anything that matters, ask a clinician."
