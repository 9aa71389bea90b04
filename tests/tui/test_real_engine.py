"""The application over the real engine process: real adapters are trained, a real model answers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from conftest import text_of, until

from engine import locations
from engine.settings import load_config
from fedmed_tui.app import FedMedApp

PATIENCE = 150.0
"""Seconds to wait at most for one thing; a loaded machine is slow, not wrong."""


async def test_the_bundled_model_trains_from_the_start_key_and_answers_meanwhile_or_after() -> None:
    app = FedMedApp()
    few = {"training.rounds": 1, "training.local_steps": 1, "training.batch_size": 1, "training.max_tokens": 64}
    app.workspace.config = load_config(overrides={**few, "data.validation_pairs": 2, "aggregation.weighting": "samples"})
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.workspace.status.ready, PATIENCE)
        await pilot.press("s")
        await until(pilot, lambda: app.run_state.model, PATIENCE)

        await pilot.press("5")
        await pilot.press(*"thirst", "enter")
        answer = app.workspace.conversation(("base",)).exchanges[0].answer
        await until(pilot, lambda: answer.text or answer.failure, PATIENCE)
        assert not answer.failure
        await pilot.press("escape")
        await until(pilot, lambda: "stopped" in text_of(pilot), PATIENCE)

        await until(pilot, lambda: app.run_state.finished, PATIENCE)
        await until(pilot, lambda: not app.workspace.training, PATIENCE)

    assert app.run_state.finished is not None and app.run_state.finished.outcome == "done"
    assert set(app.run_state.macro_series()) == {0, 1}
    adapter = locations.run_folder(app.run_state.run) / "global" / "adapter_model.safetensors"
    assert adapter.stat().st_size > 1_000_000


async def test_a_run_whose_engine_is_killed_goes_on_from_its_last_round(tiny_model: Path) -> None:
    app = FedMedApp()
    some = {"training.rounds": 12, "training.local_steps": 2, "data.validation_pairs": 2, "data.max_pairs": 8}
    app.workspace.config = load_config(
        overrides={**some, "model.source": str(tiny_model), "aggregation.weighting": "samples", "training.max_tokens": 64}
    )
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.workspace.status.ready, PATIENCE)
        await pilot.press("s")
        await until(pilot, lambda: app.run_state.completed >= 2, PATIENCE)
        name, before = app.run_state.run, app.run_state.completed

        client = app.workspace._client
        assert client is not None and client.pid is not None
        os.kill(client.pid, signal.SIGKILL)
        await until(pilot, lambda: "✖ The engine was killed" in text_of(pilot), PATIENCE)
        await pilot.press("r")

        await until(pilot, lambda: app.run_state.finished and not app.workspace.training, PATIENCE)

    assert app.run_state.run == name
    assert app.run_state.finished is not None and app.run_state.finished.outcome == "done"
    assert app.run_state.completed == 12 > before
    assert sorted(app.run_state.macro_series()) == list(range(13))
