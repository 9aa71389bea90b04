"""Steps that several tests of the Data screen begin with."""

from __future__ import annotations

from conftest import until
from textual.pilot import Pilot
from textual.widgets import Input

from fedmed_tui.app import FedMedApp
from fedmed_tui.widgets.pairs import PairList
from screens.import_data import ImportScreen


async def open_data(pilot: Pilot[None]) -> PairList:
    """Go to the Data screen and wait until the first hospital's pairs are listed."""
    app = pilot.app
    assert isinstance(app, FedMedApp)
    await until(pilot, lambda: app.workspace.status.ready and len(app.workspace.partitions) == 3)
    await pilot.press("1")
    pairs = app.screen.query_one(PairList)
    await until(pilot, lambda: pairs.book is not None and pairs.book.matches)
    return pairs


async def look_at(pilot: Pilot[None], source: str) -> ImportScreen:
    """Open the import form and look at a source."""
    await pilot.press("i")
    await until(pilot, lambda: isinstance(pilot.app.screen, ImportScreen))
    form = pilot.app.screen
    assert isinstance(form, ImportScreen)
    form.query_one("#source", Input).value = source
    await pilot.press("enter")
    return form
