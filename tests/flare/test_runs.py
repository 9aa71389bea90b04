"""Runs over a real federation: the same bits as in one process, no work left behind, no name looked up."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from engine.protocol import (
    Cancel,
    HospitalLost,
    JobFinished,
    RunFinished,
    StartRun,
    StepDone,
)
from tests.flare.conftest import HOSPITALS, Deployment, city_config, digests, eventually
from tests.process.conftest import engine, tiny_config
from tests.process.planted import MARK

pytestmark = pytest.mark.usefixtures("federation_home")


async def test_a_run_over_the_federation_gives_the_same_bits_as_in_one_process(deployment: Deployment, tiny_model: Path) -> None:
    async with engine() as driver:
        driver.client.send(StartRun(job="here", run="here", config=tiny_config(tiny_model)))
        await driver.until(JobFinished, lambda job: job.job == "here")
        driver.client.send(StartRun(job="there", run="there", config=city_config(tiny_model)))
        await driver.until(JobFinished, lambda job: job.job == "there")

    assert digests("there") == digests("here")
    assert not driver.all(HospitalLost)


def test_no_process_ran_a_module_that_somebody_put_into_a_kit(deployment: Deployment) -> None:
    assert not list(deployment.federation.folder.rglob(MARK))


@pytest.mark.slow
async def test_cancelled_from_the_screen_every_hospital_stops(deployment: Deployment, tiny_model: Path) -> None:
    async with engine() as driver:
        driver.client.send(StartRun(job="run", run="cancelled", config=city_config(tiny_model, training__local_steps=5000)))
        for hospital in HOSPITALS:
            await driver.until(StepDone, lambda step, hospital=hospital: step.hospital == hospital)
        driver.client.send(Cancel(job="run"))
        await driver.until(RunFinished, lambda run: run.outcome == "cancelled")
        eventually(lambda: not any(deployment.engines(hospital) for hospital in HOSPITALS))


def test_no_outside_name_was_looked_up(deployment: Deployment) -> None:
    asked_for = set(deployment.lookups.read_text().split())

    assert "localhost" in asked_for, "the record itself is broken"
    assert all(ip_address(one).is_private for one in asked_for - {"localhost"})  # raises for any other name
