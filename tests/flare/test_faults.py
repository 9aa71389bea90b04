"""What fails in a real federation costs no more than it must: killed engines, jobs, hospitals, servers; a cut network."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from engine import locations
from engine.protocol import (
    Aggregated,
    Cancel,
    Failure,
    FederationBroke,
    HospitalLost,
    JobFinished,
    ResumeRun,
    RoundFinished,
    RunFinished,
    StartRun,
    StepDone,
    UpdateReceived,
)
from tests.flare.conftest import HOSPITALS, Deployment, city_config, digests
from tests.process.conftest import Driver, engine, tiny_config

pytestmark = pytest.mark.usefixtures("federation_home")

ENDLESS = {"training__rounds": 50, "training__local_steps": 30, "aggregation__weighting": "equal", "federation__quorum": 2}
"""A run that outlasts what a test does to it."""


async def test_a_killed_engine_loses_one_round_and_rejoins(deployment: Deployment, tiny_model: Path) -> None:
    async with engine() as driver:
        long = city_config(tiny_model, training__local_steps=60, training__rounds=2, aggregation__weighting="equal")
        driver.client.send(StartRun(job="run", run="killed-engine", config=long))
        await driver.until(StepDone, lambda step: step.hospital == "B")
        for process in deployment.engines("B"):
            process.kill()
        await driver.until(JobFinished)

    assert [(lost.round, lost.hospital, lost.kind) for lost in driver.all(HospitalLost)][:1] == [(1, "B", "gone")]
    assert senders(driver, 2) == set(HOSPITALS)


@pytest.mark.slow
async def test_a_killed_job_process_changes_no_bit(deployment: Deployment, tiny_model: Path) -> None:
    settings = {"training__local_steps": 60, "training__rounds": 2}
    async with engine() as driver:
        driver.client.send(StartRun(job="there", run="killed-job", config=city_config(tiny_model, **settings)))
        await driver.until(StepDone, lambda step: step.hospital == "B")
        for process in deployment.jobs("B"):
            process.kill()
        await driver.until(JobFinished, lambda job: job.job == "there")
        driver.client.send(StartRun(job="here", run="whole", config=tiny_config(tiny_model, **settings)))
        await driver.until(JobFinished, lambda job: job.job == "here")

    assert driver.all(FederationBroke)
    assert not driver.all(HospitalLost)
    assert digests("killed-job") == digests("whole")


@pytest.mark.slow
async def test_a_hospital_that_is_cut_off_is_left_out_and_taken_in_again(deployment: Deployment, tiny_model: Path) -> None:
    async with engine() as driver:
        driver.client.send(StartRun(job="run", run="cut-off", config=city_config(tiny_model, **ENDLESS)))
        await driver.until(StepDone, lambda step: step.hospital == "C")
        with deployment.frozen(deployment.family("C")):
            lost = await driver.until(HospitalLost)
            await driver.until(RoundFinished, lambda round: round.round > lost.round)
        await driver.until(UpdateReceived, lambda update: update.hospital == "C" and update.round > lost.round)
        driver.client.send(Cancel(job="run"))
        await driver.until(JobFinished)

    assert {(one.hospital, one.kind) for one in driver.all(HospitalLost)} == {("C", "gone")}
    assert senders(driver, lost.round + 1) == {"A", "B"}


@pytest.mark.slow
async def test_a_hospital_whose_machine_dies_is_left_out_and_taken_in_again(deployment: Deployment, tiny_model: Path) -> None:
    async with engine() as driver:
        driver.client.send(StartRun(job="run", run="power-cut", config=city_config(tiny_model, **ENDLESS)))
        await driver.until(StepDone, lambda step: step.hospital == "C")
        deployment.kill("C")
        lost = await driver.until(HospitalLost)
        deployment.start("C")
        await driver.until(UpdateReceived, lambda update: update.hospital == "C" and update.round > lost.round)
        driver.client.send(Cancel(job="run"))
        await driver.until(JobFinished)

    assert {one.hospital for one in driver.all(HospitalLost)} == {"C"}


@pytest.mark.slow
async def test_a_hospital_that_misses_the_deadline_is_left_out_and_asked_again(deployment: Deployment, tiny_model: Path) -> None:
    async with engine() as driver:
        settings = city_config(tiny_model, **ENDLESS, federation__deadline_s=8)
        driver.client.send(StartRun(job="run", run="late", config=settings))
        await driver.until(StepDone, lambda step: step.hospital == "C")
        with deployment.frozen(deployment.engines("C")):
            lost = await driver.until(HospitalLost)
        await driver.until(UpdateReceived, lambda update: update.hospital == "C" and update.round > lost.round)
        driver.client.send(Cancel(job="run"))
        await driver.until(JobFinished)

    assert (lost.hospital, lost.kind, lost.reason) == ("C", "late", "it gave no answer in 8 s")
    assert senders(driver, lost.round) == {"A", "B"}


@pytest.mark.slow
async def test_without_its_server_a_run_pauses_and_goes_on_when_it_is_back(deployment: Deployment, tiny_model: Path) -> None:
    async with engine() as driver:
        driver.client.send(StartRun(job="run", run="no-server", config=city_config(tiny_model, training__local_steps=60)))
        await driver.until(StepDone, lambda step: step.round == 2)
        deployment.kill("server")
        await driver.until(JobFinished, may_fail=True)
        deployment.start("server")
        deployment.wait_for(*HOSPITALS)
        driver.client.send(ResumeRun(job="again", run="no-server"))
        await driver.until(JobFinished, lambda job: job.job == "again", may_fail=True)

    (paused,) = driver.all(Failure)
    assert paused.message.startswith(
        "0 of 3 hospitals are left in round 2, 2 are needed. A: the connection to the federation broke"
    )
    assert driver.all(RunFinished)[-1].completed == 3


@pytest.mark.slow
async def test_a_killed_coordinator_goes_on_from_the_last_round_without_a_lost_hospital(
    deployment: Deployment, tiny_model: Path
) -> None:
    async with engine() as first:
        first.client.send(StartRun(job="run", run="resumed", config=city_config(tiny_model, training__local_steps=30)))
        await first.until(RoundFinished)
        assert first.client.pid is not None
        os.kill(first.client.pid, signal.SIGKILL)
    with deployment.away("C"):
        async with engine() as second:
            second.client.send(ResumeRun(job="run", run="resumed"))
            await second.until(JobFinished)

    assert second.all(RunFinished)[-1].completed == 3
    assert min(event.round for event in second.all(Aggregated)) >= 2
    assert senders(second, 3) == {"A", "B"}


@pytest.mark.slow
async def test_a_hospital_with_another_base_model_takes_no_part(deployment: Deployment, tiny_model: Path, tmp_path: Path) -> None:
    deployment.stop("B")
    deployment.start("B", model=altered(tiny_model, tmp_path / "other"))
    deployment.wait_for(*HOSPITALS)
    try:
        async with engine() as driver:
            driver.client.send(StartRun(job="run", run="mismatch", config=city_config(tiny_model)))
            await driver.until(JobFinished, may_fail=True)
    finally:
        deployment.stop("B")
        deployment.start("B")
        deployment.wait_for(*HOSPITALS)

    (failure,) = driver.all(Failure)
    assert failure.message.startswith("not every hospital can begin: B: it has another base model than ")
    assert not driver.all(StepDone)
    assert not (locations.run_folder("mismatch") / "rounds").exists()


@pytest.mark.slow
async def test_a_hospital_that_comes_back_with_another_base_model_stays_out(
    deployment: Deployment, tiny_model: Path, tmp_path: Path
) -> None:
    other = altered(tiny_model, tmp_path / "other")
    try:
        async with engine() as driver:
            driver.client.send(StartRun(job="run", run="comes-back", config=city_config(tiny_model, **ENDLESS)))
            await driver.until(StepDone, lambda step: step.hospital == "B")
            deployment.stop("B")
            deployment.start("B", model=other)
            refused = await driver.until(HospitalLost, lambda lost: lost.kind == "refused")
            await driver.until(RoundFinished, lambda round: round.round == refused.round)
            driver.client.send(Cancel(job="run"))
            await driver.until(JobFinished)
    finally:
        deployment.stop("B")
        deployment.start("B")
        deployment.wait_for(*HOSPITALS)

    assert refused.hospital == "B" and "base model" in refused.reason
    assert senders(driver, refused.round) == {"A", "C"}


@pytest.mark.slow
async def test_a_hospital_refuses_what_its_policy_forbids(deployment: Deployment, tiny_model: Path) -> None:
    policy = deployment.federation.kit("B") / "local" / "policy.toml"
    before = policy.read_text()
    policy.write_text("max_steps = 2\n")
    try:
        async with engine() as driver:
            driver.client.send(StartRun(job="run", run="refused", config=city_config(tiny_model)))
            await driver.until(JobFinished, may_fail=True)
    finally:
        policy.write_text(before)

    assert driver.all(Failure)[0].message == "not every hospital can begin: B: its policy allows fewer local steps."


def senders(driver: Driver, number: int) -> set[str]:
    """Whose updates a round received."""
    return {update.hospital for update in driver.all(UpdateReceived) if update.round == number}


def altered(model: Path, copy: Path) -> Path:
    """A copy of a model with other weights."""
    shutil.copytree(model, copy)
    weights = load_file(copy / "model.safetensors")
    save_file({name: tensor + 0.01 for name, tensor in weights.items()}, copy / "model.safetensors", {"format": "pt"})
    return copy
