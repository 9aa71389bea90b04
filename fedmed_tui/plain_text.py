"""What a terminal would obey, recognised character by character. No screen library here: the command line uses it too."""

from __future__ import annotations

import unicodedata

_OBEYED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Control characters, invisible format characters such as those that turn the writing direction, halves of pairs, separators."""
_JOINERS = "\u200c\u200d"
"""Needed to write Persian, Hindi and emoji; they do nothing on their own."""


def is_obeyed(character: str) -> bool:
    """Whether a terminal could act on it. Newlines and tabs are left to the caller."""
    return unicodedata.category(character) in _OBEYED and character not in "\n\t" and character not in _JOINERS


def printable(text: str) -> str:
    """Text of a model, a file or a person without what a terminal would obey; newlines and tabs stay."""
    return "".join(character for character in text if not is_obeyed(character))


def on_one_line(text: str) -> str:
    """The same, and no line of its own: it cannot pass for another row."""
    return " ".join(printable(text).split())
