"""Text as it may be kept: no control characters, nothing that would rearrange a line on a screen."""

from __future__ import annotations

import re
from collections import Counter

_NUL = "\x00"
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_DIRECTION = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""Embeddings, overrides and isolates: they make text read otherwise than it is stored (CVE-2021-42574). Plain right-to-left
letters, and the marks U+200E and U+200F, are left as they are."""
_ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")

CONTROL = "control characters removed"
DIRECTION = "direction overrides removed"


class Unusable(Exception):
    """A text cannot be kept; the message completes "the answer …"."""


def cleaned(text: str, changes: Counter[str]) -> str:
    """The text without what a terminal or a model should never meet; what was removed is counted in `changes`.

    Raises:
        Unusable: it holds a NUL byte or bytes that are no text in the file's encoding.
    """
    if _ODD.search(text) is None:
        return text.strip()
    if _NUL in text:
        raise Unusable("holds a NUL byte")
    if _SURROGATE.search(text):
        raise Unusable("holds bytes that are no text in this encoding")
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    for pattern, change in ((_CONTROL, CONTROL), (_DIRECTION, DIRECTION)):
        text, found = pattern.subn("", text)
        if found:
            changes[change] += 1
    return text.strip()
