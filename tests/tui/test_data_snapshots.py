"""Pictures of the Data screen and its dialogs, compared with accepted ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import script_data
from conftest import redraw, until
from textual.pilot import Pilot
from textual.widgets import Input

from fedmed_tui.app import FedMedApp
from fedmed_tui.widgets.pairs import PairList
from screens.import_data import ImportScreen
from screens.partition_data import PartitionScreen

SIZES = [(80, 24), (120, 36)]
Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No blinking cursor."""
    monkeypatch.setattr(Input, "cursor_blink", False)


async def _data_with_findings(pilot: Pilot[None]) -> None:
    app = pilot.app
    assert isinstance(app, FedMedApp)
    await until(pilot, lambda: app.workspace.status.ready and len(app.workspace.partitions) == 3 and not app.workspace.data_job)
    desk = app.workspace.desk
    desk.overlap, desk.comparison = script_data.overlap(), script_data.comparison()
    desk.phi = {name: script_data.phi(name) for name in script_data.HOSPITALS}
    desk.note = "✔ Looked for copies in 1.2 s: 44 found."
    await pilot.press("1")
    pairs = app.screen.query_one(PairList)
    await until(pilot, lambda: pairs.book is not None and pairs.book.matches)
    await redraw(pilot)


@pytest.mark.parametrize("size", SIZES)
def test_data(fake_app: FedMedApp, snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(fake_app, terminal_size=size, run_before=_data_with_findings)


def test_copies(fake_app: FedMedApp, snap_compare: Compare) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await _data_with_findings(pilot)
        await pilot.press("v", "v", "v")
        await redraw(pilot)

    assert snap_compare(fake_app, terminal_size=(80, 24), run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_import_form(app: FedMedApp, snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        form = ImportScreen(app.workspace.desk)
        app.push_screen(form)
        await pilot.pause()
        form.query_one("#source", Input).value = "clinic.csv"
        await pilot.pause()
        form._show(script_data.preview(script_data.PreviewSource(job="data-9", source="clinic.csv")))
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=look)


def test_partition_form(app: FedMedApp, snap_compare: Compare) -> None:
    async def look(pilot: Pilot[None]) -> None:
        app.push_screen(PartitionScreen("sample"))
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=look)
