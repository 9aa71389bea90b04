"""Runs over a real federation: the same bits as in one process, through faults, and no work left behind."""

from __future__ import annotations

import hashlib
import os
import signal
from ipaddress import ip_address
from pathlib import Path

import pytest

from engine import locations
from engine.protocol import (
    Aggregated,
    Cancel,
    Failure,
    HospitalLost,
    JobFinished,
    ResumeRun,
    RoundFinished,
    RunFinished,
    StartRun,
    StepDone,
    UpdateReceived,
)
from engine.settings import RunConfig
from tests.flare.conftest import HOSPITALS, Deployment, eventually
from tests.process.conftest import engine, tiny_config

pytestmark = pytest.mark.usefixtures("federation_home")


def config(model: Path, **settings: object) -> RunConfig:
    return tiny_config(model, federation__name="city", **settings)


async def test_a_run_over_the_federation_gives_the_same_bits_as_in_one_process(deployment: Deployment, tiny_model: Path) -> None:
    async with engine() as driver:
        driver.client.send(StartRun(job="here", run="here", config=tiny_config(tiny_model)))
        await driver.until(JobFinished, lambda job: job.job == "here")
        driver.client.send(StartRun(job="there", run="there", config=config(tiny_model)))
        await driver.until(JobFinished, lambda job: job.job == "there")

    assert digests("there") == digests("here")
    assert not driver.all(HospitalLost)


@pytest.mark.slow
async def test_a_killed_engine_loses_one_round_and_rejoins(deployment: Deployment, tiny_model: Path) -> None:
    async with engine() as driver:
        long = config(tiny_model, training__local_steps=60, training__rounds=2, aggregation__weighting="equal")
        driver.client.send(StartRun(job="run", run="killed-engine", config=long))
        await driver.until(StepDone, lambda step: step.hospital == "B")
        for process in deployment.engines("B"):
            process.kill()
        await driver.until(JobFinished)

    assert [(lost.round, lost.hospital, lost.kind) for lost in driver.all(HospitalLost)][:1] == [(1, "B", "gone")]
    assert {update.hospital for update in driver.all(UpdateReceived) if update.round == 2} == set(HOSPITALS)


@pytest.mark.slow
async def test_cancelled_from_the_screen_every_hospital_stops(deployment: Deployment, tiny_model: Path) -> None:
    async with engine() as driver:
        driver.client.send(StartRun(job="run", run="cancelled", config=config(tiny_model, training__local_steps=5000)))
        for hospital in HOSPITALS:
            await driver.until(StepDone, lambda step, hospital=hospital: step.hospital == hospital)
        driver.client.send(Cancel(job="run"))
        await driver.until(RunFinished, lambda run: run.outcome == "cancelled")
        eventually(lambda: not any(deployment.engines(hospital) for hospital in HOSPITALS))


@pytest.mark.slow
async def test_a_hospital_that_is_cut_off_is_left_out_and_taken_in_again(deployment: Deployment, tiny_model: Path) -> None:
    long = config(tiny_model, training__local_steps=400, training__rounds=8, aggregation__weighting="equal", federation__quorum=2)
    async with engine() as driver:
        driver.client.send(StartRun(job="run", run="cut-off", config=long))
        await driver.until(StepDone, lambda step: step.hospital == "C")
        deployment.kill("C")
        await driver.until(HospitalLost, lambda lost: lost.hospital == "C")
        deployment.start("C")
        await driver.until(UpdateReceived, lambda update: update.hospital == "C" and update.round > 1)
        driver.client.send(Cancel(job="run"))
        await driver.until(JobFinished)

    assert not driver.all(Failure)


@pytest.mark.slow
async def test_a_killed_coordinator_goes_on_from_the_last_round(deployment: Deployment, tiny_model: Path) -> None:
    async with engine() as first:
        first.client.send(StartRun(job="run", run="resumed", config=config(tiny_model, training__local_steps=30)))
        await first.until(RoundFinished)
        assert first.client.pid is not None
        os.kill(first.client.pid, signal.SIGKILL)
    async with engine() as second:
        second.client.send(ResumeRun(job="run", run="resumed"))
        await second.until(JobFinished)

    assert second.all(RunFinished)[-1].completed == 3
    assert min(event.round for event in second.all(Aggregated)) >= 2


@pytest.mark.slow
async def test_a_hospital_refuses_what_its_policy_forbids(deployment: Deployment, tiny_model: Path) -> None:
    policy = deployment.federation.kit("B") / "local" / "policy.toml"
    before = policy.read_text()
    policy.write_text("max_steps = 2\n")
    try:
        async with engine() as driver:
            driver.client.send(StartRun(job="run", run="refused", config=config(tiny_model)))
            await driver.until(JobFinished, may_fail=True)
    finally:
        policy.write_text(before)

    assert driver.all(Failure)[0].message == "not every hospital can begin: B: its policy allows fewer local steps."


def test_no_outside_name_was_looked_up(deployment: Deployment) -> None:
    asked_for = set(deployment.lookups.read_text().split())

    assert "localhost" in asked_for, "the record itself is broken"
    assert all(ip_address(one).is_private for one in asked_for - {"localhost"})  # raises for any other name


def digests(run: str) -> list[str]:
    """Of the global adapter after each round."""
    rounds = sorted((locations.run_folder(run) / "rounds").glob("*/global.safetensors"))
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in rounds]
