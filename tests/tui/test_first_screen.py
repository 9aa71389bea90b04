"""The first thing a person sees."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import SIZES, text_of, until
from textual.widgets._footer import FooterKey

from fedmed_tui.app import FedMedApp


@pytest.mark.parametrize("size", SIZES)
async def test_a_newcomer_is_told_which_key_to_press(app: FedMedApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await pilot.pause()

        shown = text_of(pilot)

    assert "s   train the demo" in shown
    assert "F1   every key" in shown
    assert "^q   quit" in shown


async def test_the_header_says_that_the_engine_is_starting_and_then_ready(fake_app: FedMedApp) -> None:
    async with fake_app.run_test() as pilot:
        await pilot.pause()
        assert "starting the engine" in text_of(pilot)

        await until(pilot, lambda: "○ ready" in text_of(pilot))


async def test_the_engine_is_asked_for_the_data_at_once(fake_app: FedMedApp) -> None:
    async with fake_app.run_test() as pilot:
        await until(pilot, lambda: sorted(fake_app.workspace.partitions) == ["A", "B", "C"])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", "12345")
async def test_the_footer_has_at_most_six_keys_and_all_of_them_fit(app: FedMedApp, size: tuple[int, int], key: str) -> None:
    async with app.run_test(size=size) as pilot:
        await pilot.press(key)
        await pilot.pause()

        keys = list(app.screen.query(FooterKey))

        assert 1 <= len(keys) <= 6
        assert all(one.region.x >= 0 and one.region.right <= size[0] for one in keys)


async def test_the_footer_of_the_chat_fits_when_nothing_is_typed(app: FedMedApp) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("5", "escape")
        await pilot.pause()

        keys = list(app.screen.query(FooterKey))

        assert len(keys) <= 6
        assert keys[-1].region.right <= 60


async def test_number_keys_switch_screens(app: FedMedApp) -> None:
    async with app.run_test() as pilot:
        seen = []
        for key in "12345":
            await pilot.press(key)
            seen.append(app.current_mode)

    assert seen == ["data", "training", "aggregator", "benchmark", "chat"]


async def test_a_click_on_a_screen_name_goes_there(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        column = text_of(pilot).splitlines()[0].index("Benchmark")

        await pilot.click(offset=(column + 1, 0))

        assert app.current_mode == "benchmark"


def test_nothing_heavy_is_imported_before_the_first_paint() -> None:
    heavy = "{'torch', 'transformers', 'peft', 'datasets', 'numpy', 'pyarrow'}"
    code = f"import sys, fedmed_tui.app; print(sorted({heavy} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout

    assert found.strip() == "[]"
