"""Amounts as a person types them, in a form or in an option: pairs per hospital, and lists of numbers."""

from __future__ import annotations

from engine.errors import SettingsError
from engine.protocol import REFERENCE_SIZES


def sizes(text: str, where: str) -> dict[str, int]:
    """`A=4520, B=2521` as pairs per hospital; `reference` is the reference configuration. Raises SettingsError about `where`."""
    if text == "reference":
        return REFERENCE_SIZES
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if not name or not number.isdecimal():
            raise SettingsError(f"'{part}' is no size.", where=where, hint="For example A=4520, B=2521; or the word reference.")
        found[name] = int(number)
    return found


def numbers(text: str, where: str) -> tuple[float, ...]:
    """`45, 25, 30` as numbers above 0; none when there is no text. Raises SettingsError about `where`."""
    try:
        found = tuple(float(part) for part in text.replace("/", ",").split(",")) if text else ()
    except ValueError:
        found = (0.0,)
    if any(not 0 < one < float("inf") for one in found):
        raise SettingsError(
            "these must be numbers above 0 with commas between them.", where=where, hint="For example 45, 25, 30."
        )
    return found
