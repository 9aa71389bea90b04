"""The Data screen over the real engine process: a file on disk becomes partitions, is read, checked and trained on next."""

from __future__ import annotations

import csv
from pathlib import Path

from conftest import text_of, until
from textual.widgets import Input

from fedmed_tui.app import FedMedApp
from fedmed_tui.widgets.pairs import PairList
from screens.confirm import ConfirmScreen
from screens.import_data import ImportScreen
from screens.imported import ImportedScreen

PATIENCE = 150.0
"""Seconds to wait at most for one thing; a loaded machine is slow, not wrong."""


def write_clinic(path: Path) -> None:
    """120 rows of two clinics with twenty topics, one pair twice, a telephone number, and 10 rows without an answer."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerow(("Question", "Response", "Condition", "Clinic"))
        for at in range(118):
            clinic = ("North", "South")[at % 2]
            answer = f"Answer {at} has its own words: {'word ' * (at % 30)}in number {at * 7919}." if at >= 10 else ""
            rows.writerow((f"What is known of case {at} in the clinic {clinic}?", answer, f"topic {at % 20}", clinic))
        for _ in range(2):
            rows.writerow(("Whom do I call?", "Call the ward at 212-555-0187, any time of the day.", "calls", "North"))


async def test_a_file_is_imported_read_checked_and_used_by_the_next_run(home: Path) -> None:
    write_clinic(home / "clinic.csv")
    app = FedMedApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.workspace.status.ready and len(app.workspace.partitions) == 3, PATIENCE)
        await pilot.press("1", "i")
        await until(pilot, lambda: isinstance(app.screen, ImportScreen))
        app.screen.query_one("#source", Input).value = str(home / "clinic.csv")
        await pilot.press("enter")
        await until(pilot, lambda: "CSV" in text_of(pilot), PATIENCE)

        await pilot.press("ctrl+s")  # 10 of 120 rows have no answer
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen), PATIENCE)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, ImportedScreen) and "the answer is empty" in text_of(pilot), PATIENCE)
        await pilot.press("escape")
        await until(pilot, lambda: sorted(app.workspace.partitions) == ["North", "South"], PATIENCE)

        pairs = app.screen.query_one(PairList)
        await pilot.press("slash")
        await pilot.pause()
        await pilot.press(*"ward day")
        await until(
            pilot, lambda: pairs.book is not None and pairs.book.query == "ward day" and pairs.book.matches == 2, PATIENCE
        )
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "Call the ward at 212-555-0187" in text_of(pilot), PATIENCE)
        await pilot.press("escape", "escape", "d")
        await until(pilot, lambda: app.workspace.desk.comparison and not app.workspace.desk.task, PATIENCE)
        await pilot.press("f")
        await until(pilot, lambda: len(app.workspace.desk.phi) == 2 and not app.workspace.desk.task, PATIENCE)

    assert app.workspace.config.data.folder == "data/processed"
    overlap = app.workspace.desk.overlap
    assert overlap is not None
    assert [(cell.hospital, cell.other, cell.exact) for cell in overlap.cells if cell.exact] == [("North", "North", 2)]
    assert app.workspace.desk.phi["North"].findings == {"PHONE": 2}
    assert (home / "data" / "processed" / "hospital_North" / "pairs.parquet").is_file()
