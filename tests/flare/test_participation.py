"""The same part of the hospitals trains over a federation as in one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.protocol import HospitalLost, JobFinished, RoundStarted, StartRun, TrainingStarted
from tests.flare.conftest import Deployment, city_config, digests
from tests.process.conftest import engine, tiny_config

pytestmark = [pytest.mark.usefixtures("federation_home"), pytest.mark.slow]


async def test_those_who_are_drawn_train_and_give_the_same_bits(deployment: Deployment, tiny_model: Path) -> None:
    part = {"federation__participation": 0.5, "training__rounds": 2}
    async with engine() as driver:
        driver.client.send(StartRun(job="here", run="here", config=tiny_config(tiny_model, **part)))
        await driver.until(JobFinished, lambda job: job.job == "here")
        driver.client.send(StartRun(job="there", run="there", config=city_config(tiny_model, **part)))
        await driver.until(JobFinished, lambda job: job.job == "there")

    drawn = [(event.round, name) for event in driver.all(RoundStarted) for name in event.drawn]
    assert len(drawn) == 8  # two of three, twice, in two runs
    assert sorted((event.round, event.hospital) for event in driver.all(TrainingStarted)) == sorted(drawn)
    assert digests("there") == digests("here")
    assert not driver.all(HospitalLost)
