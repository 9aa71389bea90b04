"""JSON of anybody's, as typed values: whatever is wrong with it is a ValueError. No tensor library here."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
DIGITS = 300
"""A longer whole number has no place among floats, so that arithmetic with it fails."""
_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % DIGITS)


def decode(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The value. Raises ValueError for anything but JSON of the decoder's type, and for a number beyond all sense."""
    try:
        value = decoder.decode(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if len(data) > DIGITS and _LONG_NUMBER.search(data) and _immense(msgspec.to_builtins(value)):
        raise ValueError("it holds a number of hundreds of digits")
    return value


def _immense(value: Any) -> bool:
    """Whether a number in it is too large to compute with."""
    if isinstance(value, dict):
        return any(map(_immense, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_immense, value))
    return isinstance(value, int) and abs(value) >= 10**DIGITS
