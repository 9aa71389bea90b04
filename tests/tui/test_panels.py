"""What screens show when there is little to show."""

from __future__ import annotations

import pytest
import script
from conftest import colours_of, redraw, tell, text_of, until

from engine.protocol import Failure, Stamped
from fedmed_tui.app import FedMedApp
from fedmed_tui.theme import look


async def test_data_says_what_is_wrong_with_the_folder(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        job = app.workspace.data_job
        failure = Failure(job=job, title="Data", message="holds no partition.", where="x", hint="Import some pairs first.")
        await tell(pilot, [Stamped(seq=1, time=script.START, event=failure)])
        await pilot.press("1")
        await redraw(pilot)

        assert "✖ holds no partition. Import some pairs first." in text_of(pilot)


@pytest.mark.parametrize("key", "1345")
async def test_screens_can_be_opened_before_anything_is_known(app: FedMedApp, key: str) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
        await redraw(pilot)

        assert text_of(pilot).strip()


@pytest.mark.parametrize("key", "1235")
async def test_hospitals_change_their_hues_with_the_theme_though_nothing_else_happens(app: FedMedApp, key: str) -> None:
    dark, light = (look(0, dark=dark).hue for dark in (True, False))
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, script.session_events())
        await pilot.press(key)
        await redraw(pilot)
        if key == "5":
            await pilot.press("escape")
        assert dark in colours_of(pilot)

        await pilot.press("t")

        await until(pilot, lambda: light in colours_of(pilot) and dark not in colours_of(pilot))
