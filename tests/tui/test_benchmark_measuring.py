"""Measuring from the Benchmark screen: chosen, followed item by item, stopped at once, written."""

from __future__ import annotations

from pathlib import Path

import script
import script_benchmark
from benchmark_steps import flat, measure, show, trained
from conftest import redraw, tell, text_of, until
from msgspec.structs import replace
from test_dialogs import write_run
from textual.widgets import Input, Select, SelectionList

from engine import locations
from engine.benchmark.saved import load
from engine.protocol import Failure, JobFinished, Stamped, SuiteMeasured
from fedmed_tui import runs
from fedmed_tui.app import FedMedApp
from screens.measure import MeasureScreen
from tests.benchmark import samples


async def test_a_quick_benchmark_is_run_from_the_screen_and_written_with_a_picture(fake_app: FedMedApp, home: Path) -> None:
    async with fake_app.run_test(size=(120, 40)) as pilot:
        await trained(pilot, fake_app)
        await measure(pilot, fake_app)
        await until(pilot, lambda: fake_app.workspace.benchmarks.going is None)
        folder = next(locations.benchmarks_folder().glob("demo-*"))
        await redraw(pilot)
        await until(pilot, (folder / "screen.svg").exists)
        shown = flat(pilot)

    assert load(folder).quick
    assert f"✔ Written to {str(folder)[:40]}" in shown
    assert "quick benchmark of" in shown


async def test_the_picture_waits_until_the_run_that_was_measured_is_seen_again(fake_app: FedMedApp, home: Path) -> None:
    write_run("other-run")
    async with fake_app.run_test(size=(120, 40)) as pilot:
        await trained(pilot, fake_app)
        measured = fake_app.run_state
        await measure(pilot, fake_app)
        await pilot.press("2")
        await until(pilot, lambda: fake_app.workspace.benchmarks.going is None)
        fake_app.workspace.show_run(runs.load_state("other-run"))
        await pilot.press("4")
        await redraw(pilot)
        fake_app.workspace.show_run(measured)
        await redraw(pilot)
        folder = next(locations.benchmarks_folder().glob("demo-*"))
        await until(pilot, (folder / "screen.svg").exists)

    picture = (folder / "screen.svg").read_text().replace("&#160;", " ")
    assert measured.run in picture and "other-run" not in picture


async def test_progress_is_told_item_by_item_with_the_time_left(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        app.workspace.status.ready = True
        desk = app.workspace.benchmarks
        await measure(pilot, app, full=True)
        assert desk.going is not None
        job = desk.going.job
        desk.take(script_benchmark.started(job, script.RUN))
        tick = script_benchmark.progress(job, "learning", 1, 0.5, 2)
        desk.take(replace(tick, item="all pairs trained in one place", seconds_left=95.0))
        await redraw(pilot)
        shown = flat(pilot)

    assert "75% item 2 of 2 1 min 35 s left" in shown
    assert "✔ efficiency counting weights" in shown
    assert "▶ learning all pairs trained in one place" in shown and "50%" in shown
    assert "● measuring" in shown


async def test_the_footer_follows_the_benchmark_to_its_end(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        app.workspace.status.ready = True
        await measure(pilot, app)
        await redraw(pilot)
        going = app.workspace.benchmarks.going
        assert going is not None
        during = text_of(pilot).splitlines()[-1]
        app.workspace.benchmarks.take(JobFinished(job=going.job, outcome="done"))
        await redraw(pilot)
        after = text_of(pilot).splitlines()[-1]

    assert "x Cancel" in during and "m Measure" not in during
    assert "m Measure" in after and "x Cancel" not in after


async def test_panels_fill_while_suites_are_measured(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        app.workspace.status.ready = True
        await measure(pilot, app, full=True)
        going = app.workspace.benchmarks.going
        assert going is not None
        started = script_benchmark.started(going.job, script.RUN)
        going.take(started)
        going.take(
            SuiteMeasured(job=going.job, suite="safety", results=replace(started.results, safety=samples.results().safety))
        )
        await redraw(pilot)
        shown = flat(pilot)

    assert "harmful requests 91.4%" in shown
    assert "A full benchmark times cold and warm" in shown


async def test_x_stops_at_once_and_nothing_is_written(slow_app: FedMedApp, home: Path) -> None:
    async with slow_app.run_test(size=(120, 40)) as pilot:
        desk = slow_app.workspace.benchmarks
        await until(pilot, lambda: slow_app.workspace.status.ready)
        await tell(pilot, script.session_events())
        await pilot.press("4")
        await measure(pilot, slow_app, full=True)
        await until(pilot, lambda: desk.going and desk.going.progress)
        await pilot.press("x")
        await until(pilot, lambda: desk.going is None)
        await redraw(pilot)

        assert "■ Stopped. Nothing was written." in text_of(pilot)
    assert not locations.benchmarks_folder().exists()


async def test_what_goes_wrong_is_said_in_its_place(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await show(pilot)
        app.workspace.status.ready = True
        await measure(pilot, app)
        job = app.workspace.benchmarks.job
        failure = Failure(job=job, title="Run", message="no [/] record.", where="", hint="Train first.")
        for event in (failure, JobFinished(job=job, outcome="failed")):
            app.workspace.take(Stamped(seq=99, time=script.START, event=event))
        await redraw(pilot)

        assert text_of(pilot).count("✖ no [/] record. Train first.") == 1


async def test_suites_and_sizes_are_chosen_and_checked(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        app.workspace.status.ready = True
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, MeasureScreen))
        screen = app.screen
        screen.query_one("#kind", Select).value = "full"
        await pilot.pause()
        screen.query_one(SelectionList).deselect_all()
        await pilot.press("ctrl+s")
        assert "no suite is chosen" in text_of(pilot)

        screen.query_one(SelectionList).select("learning")
        screen.query_one("#seeds", Input).value = "none"
        await pilot.press("ctrl+s")
        assert "a whole number from 1 to 100" in text_of(pilot)

        found = []
        screen.dismiss = found.append  # type: ignore[method-assign, assignment]
        screen.query_one("#seeds", Input).value = "5"
        await pilot.press("ctrl+s")

    assert (found[0].quick, found[0].suites, found[0].seeds) == (False, ("learning",), 5)


async def test_there_is_nothing_to_measure_before_a_round_is_done(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await show(pilot, events=script.session_events(until=10))
        app.workspace.status.ready = True
        await pilot.press("m")
        await pilot.pause()

        assert "a finished round is needed" in flat(pilot)
