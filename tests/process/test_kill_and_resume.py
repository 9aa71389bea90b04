"""Killed at any moment and resumed, a run ends with the same bytes as one that was never interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.crash import replayed
from engine.protocol import (
    Aggregated,
    Evaluated,
    JobFinished,
    ResumeRun,
    RoundFinished,
    RoundSetAside,
    RunFinished,
    RunStarted,
    Stamped,
    StartRun,
    StepDone,
    UpdateReceived,
    decode_event,
)
from engine.settings import RunConfig
from fedmed_tui.state import RunState
from tests.process.conftest import engine, tiny_config


@pytest.fixture
def config(tiny_model: Path) -> RunConfig:
    return tiny_config(tiny_model, training__rounds=2)


@pytest.fixture(scope="module")
def whole(tiny_model: Path, model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing interrupted."""
    home = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("FEDMED_HOME", home), ("FEDMED_CACHE", model_cache), ("FEDMED_LOG", home / "engine.log")):
            patch.setenv(name, str(value))
        asyncio.run(run_through("whole", tiny_config(tiny_model, training__rounds=2)))
    return home / "output-models" / "whole"


async def run_through(run: str, config: RunConfig) -> None:
    async with engine() as driver:
        driver.client.send(StartRun(job="run", run=run, config=config))
        await driver.until(RunFinished)


async def kill_at(run: str, config: RunConfig, moment: type[Any], round_number: int) -> None:
    async with engine() as driver:
        driver.client.send(StartRun(job="run", run=run, config=config))
        await driver.until(moment, lambda event: event.round == round_number)
        os.kill(driver.client.pid or 0, signal.SIGKILL)
        await driver.client.wait()


async def resume(run: str) -> list[Any]:
    async with engine() as driver:
        driver.client.send(ResumeRun(job="run", run=run))
        await driver.until(JobFinished, may_fail=True)
    return driver.events


def tensors(run: Path) -> dict[str, bytes]:
    """Every adapter and checkpoint in a run's folder."""
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*.safetensors"))}


@pytest.mark.parametrize(
    ("moment", "round_number"),
    [(Evaluated, 0), (StepDone, 1), (UpdateReceived, 2), (Aggregated, 2), (RoundFinished, 1)],
    ids=["base evaluation", "training", "update received", "aggregated", "round finished"],
)
async def test_the_resumed_run_is_the_uninterrupted_one(
    home: Path, whole: Path, config: RunConfig, moment: type[Any], round_number: int
) -> None:
    await kill_at("killed", config, moment, round_number)

    await resume("killed")

    killed = home / "output-models/killed"
    assert tensors(killed) == tensors(whole)
    assert replayed(state_of(killed)) == replayed(state_of(whole))
    assert [stamped.seq for stamped in events_of(killed)] == list(range(1, len(events_of(killed)) + 1))
    assert not list(killed.rglob("*.partial"))


def events_of(run: Path) -> list[Stamped]:
    return [decode_event(line) for line in (run / "events.jsonl").read_bytes().splitlines()]


def state_of(run: Path) -> RunState:
    state = RunState()
    for stamped in events_of(run):
        state.apply(stamped)
    return state


async def test_a_killed_run_goes_on_after_its_last_finished_round(home: Path, config: RunConfig) -> None:
    await kill_at("killed", config, StepDone, 2)

    events = await resume("killed")

    assert next(event for event in events if isinstance(event, RunStarted)).completed == 1


async def test_a_damaged_newest_round_is_done_again_from_the_one_before(home: Path, whole: Path, config: RunConfig) -> None:
    await kill_at("killed", config, RoundFinished, 1)
    damaged = home / "output-models/killed/rounds/001/global.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-8])

    events = await resume("killed")

    assert next(event for event in events if isinstance(event, RoundSetAside)).name == "001.damaged-1"
    assert any(isinstance(stamped.event, RoundSetAside) for stamped in events_of(home / "output-models/killed"))
    mine = tensors(home / "output-models/killed")
    assert mine["global/adapter_model.safetensors"] == tensors(whole)["global/adapter_model.safetensors"]
