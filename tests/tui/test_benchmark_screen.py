"""The Benchmark screen: filled from the run as it goes, and from results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import script
from benchmark_steps import FOLDER, flat, heads, show, show_panel
from conftest import SIZES, redraw, text_of, until
from msgspec.structs import replace
from textual.pilot import Pilot

from engine.benchmark.write import write
from engine.protocol import Stamped, TrafficCounted
from fedmed_tui.app import FedMedApp
from fedmed_tui.benchmark_desk import Saved
from tests.benchmark import samples

Compare = Callable[..., bool]

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
