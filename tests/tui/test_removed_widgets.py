"""What is taken off the screen is taken out of memory."""

from __future__ import annotations

import gc
import weakref

from textual.pilot import Pilot
from textual.widgets import Static

from fedmed_tui.app import FedMedApp


async def test_the_drawn_lines_of_a_removed_widget_go_with_it(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        lines = await draw_and_remove(pilot)
        await draw_and_remove(pilot)  # Textual holds the last one for a moment

        gc.collect()

        assert lines() is None


async def draw_and_remove(pilot: Pilot[None]) -> weakref.ref[object]:
    widget = Static("soon gone")
    await pilot.app.screen.mount(widget)
    await pilot.pause()
    await widget.remove()
    await pilot.pause()
    return weakref.ref(widget._styles_cache)
