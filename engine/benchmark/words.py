"""Figures as people read them, and tables of them in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.benchmark.results import Interval, Spread
from engine.plain_text import markdown_cell

NONE = "–"


def size(count: float) -> str:
    """`512 KiB`, `1.8 MiB`, `13.49 GiB`."""
    if count < 1024**2:
        return f"{count / 1024:,.0f} KiB"
    if count < 1024**3:
        return f"{count / 1024**2:,.1f} MiB"
    return f"{count / 1024**3:,.2f} GiB"


def seconds(value: float | None) -> str:
    """`0.8 ms`, `52 ms`, `4.2 s`, `1 min 05 s`."""
    if value is None:
        return NONE
    if value < 0.1:
        return f"{1000 * value:.{1 if value < 0.01 else 0}f} ms"
    if value < 60:
        return f"{value:.{2 if value < 1 else 1}f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def percent(share: float | None, decimals: int = 1) -> str:
    """`47.3 %`."""
    return NONE if share is None else f"{100 * share:.{decimals}f} %"


def signed(share: float, decimals: int = 1) -> str:
    """`+1.2 %`, `−0.4 %`."""
    return f"{'−' if share < 0 else '+'}{abs(100 * share):.{decimals}f} %"


def number(value: float | None, decimals: int = 3) -> str:
    """Fixed decimals, or a dash."""
    return NONE if value is None else f"{value:,.{decimals}f}"


def interval(value: Interval, decimals: int = 3) -> str:
    """`2.123 [2.101, 2.145]`; the mean alone where there are no bounds."""
    if value.low is None or value.high is None:
        return f"{value.mean:.{decimals}f}"
    return f"{value.mean:.{decimals}f} [{value.low:.{decimals}f}, {value.high:.{decimals}f}]"


def spread(value: Spread, decimals: int = 1) -> str:
    """`48.2 (44.0 to 51.3, 5 times)`."""
    return f"{value.median:,.{decimals}f} ({value.low:,.{decimals}f} to {value.high:,.{decimals}f}, {value.repeats} times)"


def spread_seconds(value: Spread) -> str:
    """The same for times."""
    return f"{seconds(value.median)} ({seconds(value.low)} to {seconds(value.high)}, {value.repeats} times)"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    lines = [header, [":---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(markdown_cell(text) for text in line) + " |" for line in lines) + "\n"
