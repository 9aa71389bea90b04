"""The engine dies; the application does not."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from conftest import SIZES, text_of, until
from test_dialogs import write_run

from engine.protocol import MAX_LINE_BYTES
from fedmed_tui import engine_client
from fedmed_tui.app import FedMedApp
from fedmed_tui.engine_client import describe_exit


def kill_engine(app: FedMedApp) -> None:
    signal_engine(app, signal.SIGKILL)


def signal_engine(app: FedMedApp, number: int) -> None:
    client = app.workspace._client
    assert client is not None and client.pid is not None
    os.kill(client.pid, number)


@pytest.mark.parametrize("size", SIZES)
async def test_a_killed_engine_is_a_banner_and_r_goes_on_with_the_run(slow_app: FedMedApp, size: tuple[int, int]) -> None:
    async with slow_app.run_test(size=size) as pilot:
        await until(pilot, lambda: slow_app.workspace.status.ready)
        await pilot.press("s")
        await until(pilot, lambda: slow_app.run_state.rounds)
        name = slow_app.run_state.run

        kill_engine(slow_app)

        await until(pilot, lambda: "probably because the machine ran out of memory" in " ".join(text_of(pilot).split()))
        assert "r restart the engine" in " ".join(text_of(pilot).split())
        assert "✖ engine ended" in text_of(pilot)

        await pilot.press("r")

        await until(pilot, lambda: slow_app.run_state.completed == 1 or 2 in slow_app.run_state.rounds)
        assert slow_app.run_state.run == name
        assert slow_app.workspace.training
        await until(pilot, lambda: "✖" not in text_of(pilot))


async def test_r_goes_on_with_the_run_that_was_cut_off_whatever_was_looked_at_since(slow_app: FedMedApp) -> None:
    write_run("older", completed=1)
    async with slow_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: slow_app.workspace.status.ready)
        await pilot.press("s")
        await until(pilot, lambda: slow_app.run_state.rounds)
        name = slow_app.run_state.run
        kill_engine(slow_app)
        await until(pilot, lambda: "r restart the engine and go on with the run" in " ".join(text_of(pilot).split()))
        await pilot.press("o")
        await until(pilot, lambda: "older" in text_of(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: slow_app.run_state.run == "older")

        await pilot.press("r")

        await until(pilot, lambda: slow_app.workspace.training)
        assert slow_app.run_state.run == name


async def test_an_idle_engine_that_dies_is_restarted_without_a_run(fake_app: FedMedApp) -> None:
    async with fake_app.run_test() as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        kill_engine(fake_app)
        await until(pilot, lambda: "r restart the engine" in " ".join(text_of(pilot).split()))

        await pilot.press("r")

        await until(pilot, lambda: fake_app.workspace.status.ready)
        assert not fake_app.workspace.training


async def test_an_answer_cut_off_by_the_death_of_the_engine_says_so(slow_app: FedMedApp) -> None:
    async with slow_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: slow_app.workspace.status.ready)
        await pilot.press("5")
        await pilot.press(*"thirst", "enter")
        await until(pilot, lambda: "depends" in text_of(pilot))

        kill_engine(slow_app)

        await until(pilot, lambda: "The engine ended before the answer was complete." in text_of(pilot))


async def test_an_engine_that_heeds_no_stop_is_ended_and_not_called_short_of_memory(
    slow_app: FedMedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_client, "CANCEL_SECONDS", 0.5)
    monkeypatch.setattr(engine_client, "TERMINATE_SECONDS", 0.5)
    async with slow_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: slow_app.workspace.status.ready)
        await pilot.press("s")
        await until(pilot, lambda: slow_app.run_state.rounds)
        signal_engine(slow_app, signal.SIGSTOP)

        await pilot.press("s", "y")

        await until(pilot, lambda: "did not stop its work" in text_of(pilot))


async def test_an_engine_that_cannot_be_started_is_told_in_words() -> None:
    app = FedMedApp(engine_argv=("/nowhere/engine",))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "the engine could not be started" in text_of(pilot))
        await until(pilot, lambda: "r restart the engine" in " ".join(text_of(pilot).split()))


async def test_an_engine_that_speaks_nonsense_is_ended() -> None:
    app = FedMedApp(engine_argv=(sys.executable, "-c", "print('hello'); input()"))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "not a line of this protocol" in text_of(pilot))


async def test_an_engine_that_says_too_much_in_one_line_is_ended() -> None:
    app = FedMedApp(engine_argv=(sys.executable, "-c", f"print('x' * {MAX_LINE_BYTES + 1}, flush=True); input()"))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "is longer than 16,777,216 bytes" in text_of(pilot))


def test_an_exit_is_told_where_signals_have_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGKILL")  # as on Windows

    assert "exit code 1" in describe_exit(1)
    assert "ran out of memory" in describe_exit(-9)


async def test_quitting_ends_the_engine(fake_app: FedMedApp) -> None:
    async with fake_app.run_test() as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        client = fake_app.workspace._client
        assert client is not None

        await pilot.press("ctrl+q")
        await until(pilot, lambda: not client.running)


async def test_quitting_during_a_run_asks_first(slow_app: FedMedApp) -> None:
    async with slow_app.run_test() as pilot:
        await until(pilot, lambda: slow_app.workspace.status.ready)
        await pilot.press("s")
        await until(pilot, lambda: slow_app.workspace.training)

        await pilot.press("ctrl+q")
        await until(pilot, lambda: "The run in progress stops" in text_of(pilot))
        await pilot.press("escape")
        await pilot.pause()

        assert slow_app.workspace.training and slow_app.is_running


async def test_quitting_twice_asks_once(slow_app: FedMedApp) -> None:
    async with slow_app.run_test() as pilot:
        await until(pilot, lambda: slow_app.workspace.status.ready)
        await pilot.press("s")
        await until(pilot, lambda: slow_app.workspace.training)

        await pilot.press("ctrl+q")
        await until(pilot, lambda: "The run in progress stops" in text_of(pilot))
        await pilot.press("ctrl+q")
        await pilot.pause()

        assert len(slow_app.screen_stack) == 2
        await pilot.press("y")
        await until(pilot, lambda: not slow_app.is_running)
