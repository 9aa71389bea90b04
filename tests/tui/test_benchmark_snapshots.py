"""Earlier results on the Benchmark screen: looked at, compared with, exported."""

from __future__ import annotations

import json
from pathlib import Path

import script
from benchmark_steps import choose, earlier, flat, heads, show, show_panel
from conftest import redraw, text_of, until
from msgspec.structs import replace
from test_dialogs import write_run

from fedmed_tui.app import FedMedApp
from screens.comparison import ComparisonScreen
from screens.snapshots import SnapshotsScreen
from tests.benchmark import samples


async def test_an_earlier_result_is_opened_from_the_list(app: FedMedApp, home: Path) -> None:
    earlier()
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await choose(pilot, "enter")
        await redraw(pilot)

        assert "Run first, full benchmark of" in text_of(pilot)
        assert heads(pilot)[-1] == "80"


async def test_comparing_lists_what_differs_and_marks_the_headlines(app: FedMedApp, home: Path) -> None:
    earlier()
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, samples.results(script.RUN))
        await choose(pilot, "d")
        await until(pilot, lambda: isinstance(app.screen, ComparisonScreen))
        await pilot.pause()
        told = flat(pilot)
        await pilot.press("escape")
        await redraw(pilot)
        shown = flat(pilot)

    assert "warm first token" in told and "−25.0%" in told and "▲ better" in told
    assert "test loss federated" not in told, "figures that are the same are left out"
    assert "▼ −25.0 % better" in shown and "= the same" in shown


async def test_a_comparison_is_ended_from_the_list(app: FedMedApp, home: Path) -> None:
    earlier()
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, samples.results(script.RUN))
        await choose(pilot, "d")
        await pilot.press("escape")
        await choose(pilot, "n")
        await redraw(pilot)

        assert "= the same" not in text_of(pilot)


async def test_an_export_is_read_from_the_list(app: FedMedApp, home: Path) -> None:
    write_run()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show(pilot)
        await pilot.press("ctrl+e")
        await until(pilot, lambda: "Snapshot written" in text_of(pilot))
        await choose(pilot, "enter")
        await until(pilot, lambda: f"Run {script.RUN}" in text_of(pilot))
        shown = text_of(pilot)
        await pilot.press("escape")

        assert "Validation loss" in shown
        assert isinstance(app.screen, SnapshotsScreen)
    [exported] = home.glob("output-models/*/snapshots/*/snapshot.json")
    assert json.loads(exported.read_bytes())["run"] == script.RUN


async def test_text_of_an_export_is_never_markup(app: FedMedApp, home: Path) -> None:
    write_run()
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("ctrl+e")
        await until(pilot, lambda: any(home.glob("output-models/*/snapshots/*/REPORT.md")))
        [report] = home.glob("output-models/*/snapshots/*/REPORT.md")
        report.write_text("[/][red]<b>\x1b]0;title\x07")
        await choose(pilot, "enter")
        await until(pilot, lambda: "[red]" in text_of(pilot))

        assert "[/][red]<b>�]0;title�" in text_of(pilot)


async def test_text_from_results_is_never_markup(app: FedMedApp, home: Path) -> None:
    hostile = samples.privacy().pairs[0]
    privacy = replace(samples.privacy(), pairs=(replace(hostile, hospital="[/][red]\x1b[2J"),))
    earlier(run="first", privacy=privacy)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        await choose(pilot, "enter")
        shown = await show_panel(pilot, "privacy")

    assert "[/][red]�[2J" in shown
