"""Text and numbers in cells: safe text, bars, and tables that fit the width they get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from textual.content import Content

from engine.plain_text import is_obeyed

GAP = 2
"""Cells between two columns."""


def safe(text: str) -> str:
    """Text from data, a model or a person with everything a terminal could obey shown as `�`; newlines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("�" if is_obeyed(character) else character for character in text)


def plain(text: str) -> Content:
    """Safe text as content: never parsed as markup."""
    return Content(safe(text))


def one_line(text: str, width: int) -> Content:
    """Safe text on one line of at most `width` cells."""
    return Content(" ".join(safe(text).split())).truncate(max(width, 1), ellipsis=True)


def number(value: float | None, decimals: int = 3) -> str:
    """A number with fixed decimals, or `–` when it is not known yet."""
    return "–" if value is None else f"{value:,.{decimals}f}"


def change(value: float | None, decimals: int = 2) -> str:
    """A difference with its direction as a mark: `▲ +0.02`, `▼ −0.18`, `= 0.00`; empty when there is none to tell."""
    if value is None:
        return ""
    text = f"{abs(value):.{decimals}f}"
    if float(text) == 0:
        return f"= {text}"
    return f"▲ +{text}" if value > 0 else f"▼ −{text}"


def signed_percent(share: float, decimals: int = 2) -> str:
    """A share with its sign, in percent: `+0.26 %`, `−1.40 %`, `0.00 %`."""
    text = f"{abs(share) * 100:.{decimals}f}"
    sign = "" if float(text) == 0 else "+" if share > 0 else "−"
    return f"{sign}{text} %"


def bar(fraction: float, width: int, mark: float | None = None) -> Content:
    """A horizontal bar: a heavy line on a thin one, so that it reads without colours too.

    Args:
        fraction: how much of it is filled, 0 to 1.
        width: in cells.
        mark: where to draw an upright line (0 to 1), or None.
    """
    width = max(width, 1)
    full, half = divmod(round(min(max(fraction, 0.0), 1.0) * width * 2), 2)
    filled = "━" * full + "╸" * half
    line = Content.assemble((filled, "$accent"), ("─" * (width - len(filled)), "$line"))
    if mark is None:
        return line
    at = min(int(min(max(mark, 0.0), 1.0) * width), width - 1)
    return Content.assemble(line[:at], ("┃", "$foreground"), line[at + 1 :])


@dataclass(frozen=True)
class Column:
    """One column of a table. Where there is no room, columns with the lowest `keep` are left out first."""

    title: str
    align: Literal["left", "right"] = "right"
    keep: int = 9


def table(columns: Sequence[Column], rows: Sequence[Sequence[Content | str]], width: int) -> Content:
    """Columns of equal width line by line, below their titles; right-aligned unless said otherwise.

    Never wider than `width`, which is 4 cells at least: what does not fit is left out or cut.
    """
    cells = [[Content.styled(column.title, "$muted") for column in columns], *([_content(cell) for cell in row] for row in rows)]
    widths = [max(row[at].cell_length for row in cells) for at in range(len(columns))]
    shown = _fitting(columns, widths, width)
    room = dict(zip(shown, _cut([widths[at] for at in shown], width - GAP * (len(shown) - 1)), strict=True))
    lines = [Content(" " * GAP).join(_aligned(row[at], room[at], columns[at]) for at in shown) for row in cells]
    return Content("\n").join(lines)


def _fitting(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    shown = list(range(len(columns)))
    while len(shown) > 2 and sum(widths[at] for at in shown) + GAP * (len(shown) - 1) > width:
        shown.remove(min(reversed(shown), key=lambda at: columns[at].keep))
    return shown


def _cut(widths: Sequence[int], room: int) -> list[int]:
    """The widest columns give cells away until all of them fit into `room`, or have one cell each."""
    room = max(room, len(widths))
    cut = [min(width, room) for width in widths]
    while sum(cut) > room:
        cut[cut.index(max(cut))] -= 1
    return cut


def _aligned(cell: Content, width: int, column: Column) -> Content:
    cell = cell.truncate(width, ellipsis=True)
    missing = width - cell.cell_length
    return cell.pad_left(missing) if column.align == "right" else cell.pad_right(missing)


def _content(cell: Content | str) -> Content:
    return plain(cell) if isinstance(cell, str) else cell
