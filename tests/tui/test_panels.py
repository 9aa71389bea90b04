"""What the Data and Benchmark screens show, at every size."""

from __future__ import annotations

import pytest
import script
from conftest import SIZES, redraw, tell, text_of

from engine.protocol import Failure, Stamped
from fedmed_tui.app import FedMedApp


@pytest.mark.parametrize("size", SIZES)
async def test_data_lists_every_hospital_with_its_splits(app: FedMedApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await tell(pilot, script.session_events(until=0))
        await pilot.press("1")
        await redraw(pilot)

        lines = text_of(pilot).splitlines()

    rows = [line.replace("│", " ").split()[:6] for line in lines if "● A" in line or "▲ B" in line or "■ C" in line]
    assert rows == [
        ["●", "A", "171", "28", "28", "42"],
        ["▲", "B", "93", "15", "15", "23"],
        ["■", "C", "112", "18", "18", "28"],
    ]


async def test_data_shows_the_hospital_under_the_cursor(app: FedMedApp) -> None:
    events = script.session_events(until=0)
    kinds = {"A": "inheritance", "B": "self-care", "C": "staging"}
    told = [
        Stamped(seq=one.seq, time=one.time, event=script.partition(hospital, text=kind))
        for one, (hospital, kind) in zip(events, kinds.items(), strict=False)
    ]
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, told)
        await pilot.press("1")
        await redraw(pilot)
        assert "› inheritance" in text_of(pilot)

        await pilot.press("down")
        await redraw(pilot)

        assert "› self-care" in text_of(pilot)


async def test_data_says_what_is_wrong_with_the_folder(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        job = app.workspace.data_job
        failure = Failure(job=job, title="Data", message="holds no partition.", where="x", hint="Import some pairs first.")
        await tell(pilot, [Stamped(seq=1, time=script.START, event=failure)])
        await pilot.press("1")
        await redraw(pilot)

        assert "✖ holds no partition. Import some pairs first." in text_of(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_benchmark_compares_the_base_model_with_now(app: FedMedApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await tell(pilot, script.session_events())
        await pilot.press("4")
        await redraw(pilot)

        lines = text_of(pilot).splitlines()

    hospital = next(line for line in lines if "▲ B ★" in line)
    mean = next(line for line in lines if "━ mean" in line and "2.920" in line)
    assert "2.744" in hospital and "2.438" in hospital and "▼ −11.2%" in hospital
    assert "2.614" in mean and "▼ −10.5%" in mean


async def test_benchmark_counts_what_was_sent_and_trained(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, script.session_events())
        await pilot.press("4")
        await redraw(pilot)

        shown = text_of(pilot)

    assert "460,800 of 134,515,008 (0.34%)" in shown
    assert "sent by hospitals so far  15.8 MiB" in shown
    assert "247 tokens/s" in shown


@pytest.mark.parametrize("key", "1345")
async def test_screens_can_be_opened_before_anything_is_known(app: FedMedApp, key: str) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
        await redraw(pilot)

        assert text_of(pilot).strip()
