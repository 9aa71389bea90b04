"""Weighting, combine rule and trust of the next run: chosen on the Aggregator screen or in the run set-up."""

from __future__ import annotations

import script
from conftest import redraw, tell, text_of, until
from textual.widgets import Input, Select, Static

from fedmed_tui.app import FedMedApp


async def test_the_rules_of_the_next_run_are_kept_and_shown(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 40)) as pilot:
        await tell(pilot, script.session_events())
        await pilot.press("3", "m")
        await pilot.pause()
        app.screen.query_one("#weighting", Select).value = "krum"
        app.screen.query_one("#combine", Select).value = "stacked"
        await pilot.pause()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.workspace.config.aggregation.weighting == "krum")
        await pilot.press("v", "v", "v", "v")
        await redraw(pilot)

        assert "m next run: krum · stacked · hospitals" in text_of(pilot)


async def test_rules_that_contradict_each_other_are_told_below_the_choice(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 40)) as pilot:
        await pilot.press("3", "m")
        await pilot.pause()
        app.screen.query_one("#trust", Select).value = "coordinator"
        await pilot.pause()
        await pilot.press("ctrl+s")
        await pilot.pause()
        note = str(app.screen.query_one("#public_data-note", Static).content)

        assert "✖ the coordinator has no public pairs to evaluate on." in note
        assert app.workspace.config.aggregation.trust == "hospitals"

        app.screen.query_one("#public_data", Input).value = "data/public"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.workspace.config.aggregation.public_data == "data/public")


async def test_a_run_starts_with_the_rules_chosen_in_its_set_up(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("n")
        await pilot.pause()
        fake_app.screen.query_one("#weighting", Select).value = "equal"
        fake_app.screen.query_one("#combine", Select).value = "factors"
        await pilot.pause()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: fake_app.run_state.config)
        config = fake_app.run_state.config

    assert config is not None
    assert (config.aggregation.weighting, config.aggregation.combine) == ("equal", "factors")
