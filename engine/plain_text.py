"""Text of anybody's for people to read: in a terminal, in a Markdown table, in a spreadsheet. No screen library here."""

from __future__ import annotations

import unicodedata

_OBEYED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Control characters, invisible format characters such as those that turn the writing direction, halves of pairs, separators."""
FORMULA = ("=", "+", "-", "@")
"""What a formula begins with."""
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


def markdown_cell(text: str) -> str:
    """The same for a Markdown table: it cannot end its cell, nor be read as a tag, a link or a picture."""
    text = on_one_line(text).replace("\\", "\\\\").replace("<", "&lt;")
    return text.replace("|", "\\|").replace("](", "]\\(")


def sheet_cell(text: str) -> str:
    """The same for CSV: with an apostrophe before it where a spreadsheet would take it for a formula."""
    text = on_one_line(text)
    return f"'{text}" if text.startswith(FORMULA) else text
