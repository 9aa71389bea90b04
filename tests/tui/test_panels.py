"""What the Data and Benchmark screens show, at every size."""

from __future__ import annotations

import pytest
import script
from conftest import SIZES, redraw, tell, text_of

from engine.protocol import Failure, Stamped
from fedmed_tui.app import FedMedApp


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
