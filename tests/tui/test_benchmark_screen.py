"""The Benchmark screen: filled from the run as it goes, measured from here, compared with earlier results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import script
import script_benchmark
from conftest import SIZES, redraw, tell, text_of, until
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import DataTable, Digits, Input, Select, SelectionList

from engine import locations
from engine.benchmark.results import BenchmarkResults
from engine.benchmark.saved import load
from engine.benchmark.write import write
from engine.protocol import Failure, JobFinished, Stamped, SuiteMeasured, TrafficCounted
from fedmed_tui.app import FedMedApp
from fedmed_tui.benchmark_desk import Saved
from fedmed_tui.widgets.panel import Deck
from screens.comparison import ComparisonScreen
from screens.measure import MeasureScreen
from screens.snapshots import SnapshotsScreen
from tests.benchmark import samples

Compare = Callable[..., bool]
FOLDER = Path("benchmark_results/demo-1-20251124-160000")
PANELS = ("learning", "aggregation", "efficiency", "privacy", "inference", "knowledge", "speed", "safety")


async def show(pilot: Pilot[None], results: BenchmarkResults | None = None, events: list[Stamped] | None = None) -> None:
    """The Benchmark screen after a run, with results that are looked at."""
    app = pilot.app
    assert isinstance(app, FedMedApp)
    await tell(pilot, script.session_events() if events is None else events)
    if results is not None:
        app.workspace.benchmarks.choose(app.run_state, Saved(FOLDER, results))
    await pilot.press("4")
    await redraw(pilot)


async def show_panel(pilot: Pilot[None], name: str) -> str:
    """What the screen shows with one panel in front."""
    pilot.app.screen.query_one(Deck).chosen = PANELS.index(name)
    await redraw(pilot)
    return flat(pilot)


def flat(pilot: Pilot[None]) -> str:
    """The screen's words with frames and line breaks taken out."""
    return " ".join(text_of(pilot).replace("│", " ").split())


def heads(pilot: Pilot[None]) -> list[str]:
    """The big figures."""
    return [one.value for one in pilot.app.screen.query(Digits) if one.value and one.region.height]


async def trained(pilot: Pilot[None], app: FedMedApp) -> None:
    """The Benchmark screen after a run of the fake engine."""
    await until(pilot, lambda: app.workspace.status.ready)
    await pilot.press("s")
    await until(pilot, lambda: app.run_state.finished and not app.workspace.training)
    await pilot.press("4")
    await redraw(pilot)


async def measure(pilot: Pilot[None], app: FedMedApp, *, full: bool = False) -> None:
    """Open the dialog, choose, and begin."""
    await pilot.press("m")
    await until(pilot, lambda: isinstance(app.screen, MeasureScreen))
    if full:
        app.screen.query_one("#kind", Select).value = "full"
        await pilot.pause()
    await pilot.press("ctrl+s")
    await until(pilot, lambda: app.workspace.benchmarks.going is not None)


# --- what is known without a benchmark -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES[1:])
async def test_the_record_of_a_run_fills_the_screen_while_it_trains(app: FedMedApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await show(pilot, events=script.session_events(until=70))
        shown, figures = flat(pilot), heads(pilot)

    assert "from its record" in shown
    assert figures[0] == "-6.0%", "validation loss after round 1 of a run that is in round 2"
    assert "mean 2.745" in shown


async def test_traffic_counts_as_soon_as_the_ledger_tells_of_it(app: FedMedApp) -> None:
    privacy = samples.privacy()
    rows = tuple(row for row in privacy.traffic if row.round == 1)
    told = Stamped(seq=1000, time=script.START, event=TrafficCounted(round=1, rows=rows))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, events=[*script.session_events(), told])

        assert "✔ 0 raw pairs or texts were sent" in flat(pilot)


async def test_it_says_what_a_full_benchmark_would_tell(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)

        assert "A full benchmark times cold and warm answers" in await show_panel(pilot, "inference")


# --- results -------------------------------------------------------------------------------------------------------------------


async def test_headlines_are_big_and_come_from_test_pairs(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, samples.results(script.RUN))

        assert heads(pilot) == ["-12.0%", "75%", "99.3%", "0", "540", "60"]


@pytest.mark.parametrize(
    ("panel", "words"),
    [
        ("learning", "federated 2.200 −12.0 %"),
        ("aggregation", "agent 2.200 ± 0.006 2.350"),
        ("efficiency", "less to send 99.3 % 99.7 %"),
        ("privacy", "1 exact and 2 near copies of pairs"),
        ("inference", "61 tokens/s"),
        ("knowledge", "None beats guessing or the most frequent answer."),
        ("speed", "74 % of 360 GFLOP/s"),
        ("safety", "harmful requests 91.4%"),
    ],
)
async def test_every_suite_has_a_panel(app: FedMedApp, panel: str, words: str) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, samples.results(script.RUN))

        assert words in await show_panel(pilot, panel)


async def test_held_out_pairs_that_leak_are_pointed_out(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, samples.results(script.RUN))

        assert "▲ 1 held-out pairs have a copy in training." in await show_panel(pilot, "privacy")


async def test_raw_pairs_that_crossed_are_not_passed_over(app: FedMedApp) -> None:
    privacy = samples.privacy()
    bad = replace(privacy.traffic[0], kind="text", values=3)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, samples.results(script.RUN, privacy=replace(privacy, traffic=(*privacy.traffic, bad))))

        assert "✖ 3 raw pairs or texts were sent" in await show_panel(pilot, "privacy")


async def test_saved_results_of_the_run_are_found(app: FedMedApp, home: Path) -> None:
    write(samples.results(script.RUN))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await until(pilot, lambda: app.workspace.benchmarks.shown(app.run_state))
        await redraw(pilot)

        assert heads(pilot)[0] == "-12.0%"


async def test_results_of_an_earlier_round_do_not_stand_for_a_run_that_went_on(app: FedMedApp, home: Path) -> None:
    write(samples.results(script.RUN, rounds=2))
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await until(pilot, lambda: script.RUN in app.workspace.benchmarks._newest)
        await redraw(pilot)

        assert "from its record" in text_of(pilot)


# --- measuring -----------------------------------------------------------------------------------------------------------------


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


# --- earlier results -----------------------------------------------------------------------------------------------------------


def earlier(run: str = "first", **changes: object) -> Path:
    """Results of another run on disk, older than those of `samples` and a little worse at answering."""
    slower = replace(samples.inference(), warm_first_token_seconds=samples.spread(0.08))
    return write(samples.results(run, created=1_763_000_000.0, inference=slower, **changes))


async def choose(pilot: Pilot[None], key: str, row: int = 0) -> None:
    """Open the list of snapshots, go to a row and press a key."""
    await pilot.press("o")
    await until(pilot, lambda: isinstance(pilot.app.screen, SnapshotsScreen))
    await until(pilot, lambda: pilot.app.screen.query_one(DataTable).row_count > row)
    pilot.app.screen.query_one(DataTable).move_cursor(row=row)
    await pilot.press(key)
    await pilot.pause()


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


async def test_exports_are_listed_with_their_folder(app: FedMedApp, home: Path) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show(pilot)
        await pilot.press("ctrl+e")
        await until(pilot, lambda: "Snapshot written" in text_of(pilot))
        await choose(pilot, "enter")
        await until(pilot, lambda: "Exported numbers" in text_of(pilot))

        assert isinstance(app.screen, SnapshotsScreen)
    [exported] = home.glob("output-models/*/snapshots/*/snapshot.json")
    assert json.loads(exported.read_bytes())["run"] == script.RUN


async def test_text_from_results_is_never_markup(app: FedMedApp, home: Path) -> None:
    hostile = samples.privacy().pairs[0]
    privacy = replace(samples.privacy(), pairs=(replace(hostile, hospital="[/][red]\x1b[2J"),))
    earlier(run="first", privacy=privacy)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        await choose(pilot, "enter")
        shown = await show_panel(pilot, "privacy")

    assert "[/][red]�[2J" in shown


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_the_footer_names_no_more_than_six_keys(app: FedMedApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await show(pilot, samples.results(script.RUN))
        app.workspace.benchmarks.before = Saved(FOLDER, samples.results())
        app.workspace.status.ready = True
        await redraw(pilot)
        shown = [one for one in app.screen.active_bindings.values() if one.binding.show and one.enabled]

    assert len(shown) <= 6


# --- pictures ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_the_screen_after_a_full_benchmark(app: FedMedApp, snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(pilot, samples.results(script.RUN))
        app.workspace.data_job = ""
        await redraw(pilot)

    assert snap_compare(app, terminal_size=size, run_before=look)
