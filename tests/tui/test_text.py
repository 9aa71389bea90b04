"""Bars, tables and numbers in cells."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fedmed_tui.widgets.text import Column, bar, change, number, one_line, safe, table


@pytest.mark.parametrize(
    ("fraction", "drawn"),
    [(0.0, "────────"), (0.3, "━━╸─────"), (0.5, "━━━━────"), (1.0, "━━━━━━━━"), (7.0, "━━━━━━━━"), (-1.0, "────────")],
)
def test_a_bar_is_filled_by_half_cells_and_never_beyond_its_ends(fraction: float, drawn: str) -> None:
    assert bar(fraction, 8).plain == drawn


@pytest.mark.parametrize(("mark", "at"), [(0.0, 0), (0.5, 5), (1.0, 9)])
def test_a_mark_stands_where_its_share_is(mark: float, at: int) -> None:
    assert bar(0.2, 10, mark=mark).plain.index("┃") == at


@pytest.mark.parametrize(("value", "text"), [(0.02, "▲ +0.02"), (-0.18, "▼ −0.18"), (0.001, "= 0.00"), (None, "")])
def test_a_change_has_a_mark_a_sign_and_fixed_decimals(value: float | None, text: str) -> None:
    assert change(value) == text


def test_an_unknown_number_is_a_dash() -> None:
    assert (number(None), number(2.5), number(1234.5, 1)) == ("–", "2.500", "1,234.5")


def test_numbers_are_right_aligned_below_their_titles() -> None:
    columns = (Column("name", "left"), Column("loss"))

    lines = table(columns, [("A", "2.500"), ("hospital", "10.250")], 40).plain.split("\n")

    assert lines == ["name        loss", "A          2.500", "hospital  10.250"]


def test_a_table_leaves_out_what_matters_least_when_there_is_no_room() -> None:
    columns = (Column("name", "left"), Column("pairs", keep=1), Column("loss", keep=8))

    lines = table(columns, [("hospital", "1,000", "2.500")], 16).plain.split("\n")

    assert lines == ["name       loss", "hospital  2.500"]


@example(["x" * 30, "y" * 30], 12)
@example(["x", "y" * 30, "糖" * 15], 4)
@given(st.lists(st.text(max_size=40), min_size=2, max_size=5), st.integers(min_value=4, max_value=80))
def test_a_table_is_never_wider_than_its_room(cells: list[str], width: int) -> None:
    columns = [Column(f"c{at}", "left") for at in range(len(cells))]
    row = [one_line(cell, 30) for cell in cells]

    drawn = table(columns, [row], width)

    assert all(line.cell_length <= width for line in drawn.split("\n"))
    assert drawn.plain.count("\n") == 1


@given(st.text())
def test_safe_text_holds_nothing_a_terminal_obeys(text: str) -> None:
    kept = safe(text)

    assert len(kept) == len(text)
    assert not any(ord(character) < 32 and character not in "\n\t" for character in kept)
    assert not any(character in kept for character in "\x7f\x9b\u202e\u2066\ufeff")


def test_ordinary_text_of_any_language_is_left_alone() -> None:
    text = "Größe 5 µg/l – مرض السكري – 糖尿病 – 👩‍⚕️\nnext line"

    assert safe(text) == text
