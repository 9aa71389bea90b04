"""Pictures of the main screens, compared with accepted ones. After a wanted change run with `--snapshot-update`, then look."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import script
from conftest import redraw, tell
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from engine.protocol import ChatFinished, ChatText, JobFinished, Stamped
from fedmed_tui.app import FedMedApp

SIZES = [(80, 24), (120, 36)]
IN_ROUND_TWO = 70
"""Events of the run after which hospital B is in the middle of its second training."""

Compare = Callable[..., bool]


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No blinking cursor."""
    monkeypatch.setattr(Input, "cursor_blink", False)
    monkeypatch.setattr(TextArea, "cursor_blink", False)


@pytest.mark.parametrize("size", SIZES)
def test_welcome(app: FedMedApp, snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await tell(pilot, script.session_events(until=0))

    assert snap_compare(app, terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_training_in_round_two(app: FedMedApp, snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await pilot.pause()
        app.workspace.run_job = "run-1"
        await tell(pilot, script.session_events(until=IN_ROUND_TWO))

    assert snap_compare(app, terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", ["1", "3"], ids=["data", "aggregator"])
def test_screen_after_the_run(app: FedMedApp, snap_compare: Compare, key: str, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await tell(pilot, script.session_events())
        app.workspace.data_job = ""
        await pilot.press(key)
        await redraw(pilot)

    assert snap_compare(app, terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", SIZES)
def test_chat_with_an_answer(app: FedMedApp, snap_compare: Compare, still: None, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await tell(pilot, script.session_events())
        exchange = app.workspace.chat.ask(app.workspace.place, ("base",), "What are symptoms of diabetes?")
        text = "Common ones are:\n\n- **thirst**\n- passing much urine\n- tiredness\n"
        end = ChatFinished(
            job=exchange.job, adapter="base", tokens=24, first_token_seconds=0.4, seconds=2.0, stopped=False, note=""
        )
        for event in (ChatText(job=exchange.job, adapter="base", text=text), end):
            app.workspace.take(Stamped(seq=1, time=script.START, event=event))
        app.workspace.take(Stamped(seq=1, time=script.START, event=JobFinished(job=exchange.job, outcome="done")))
        await pilot.press("5")
        await redraw(pilot)

    assert snap_compare(app, terminal_size=size, run_before=look)


def test_run_setup(app: FedMedApp, snap_compare: Compare, still: None) -> None:
    assert snap_compare(app, terminal_size=(80, 24), press=["n", "tab", "tab", "tab", "0"])


def test_light_theme(app: FedMedApp, snap_compare: Compare) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await tell(pilot, script.session_events())
        await pilot.press("t")
        await redraw(pilot)

    assert snap_compare(app, terminal_size=(120, 36), run_before=look)
