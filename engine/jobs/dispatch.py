"""Which job carries a command out. Modules are imported by the job that needs them, so that the engine is ready at once."""

from __future__ import annotations

from engine.jobs.context import Engine
from engine.jobs.data import DataCommand, data_job
from engine.protocol import (
    Attend,
    BrowsePairs,
    Chat,
    Compare,
    CompareHospitals,
    CreateFederation,
    DescribeData,
    DescribeFederation,
    LoadModel,
    PreviewSource,
    ResumeRun,
    RunBenchmark,
    ServeFederation,
    StartRun,
    WhatIf,
)
from engine.scheduler import Job, Lane

FederationCommand = CreateFederation | ServeFederation | DescribeFederation
JobCommand = DataCommand | FederationCommand | LoadModel | StartRun | ResumeRun | Attend | WhatIf | RunBenchmark | Chat | Compare
INTERACTIVE = (BrowsePairs, CompareHospitals, DescribeData, PreviewSource, LoadModel, WhatIf, Chat, Compare, DescribeFederation)
"""Somebody waits for these: they go before training."""


def lane_of(command: JobCommand) -> Lane:
    """Which jobs it waits for. A benchmark from a run's records takes seconds, a full one minutes."""
    if isinstance(command, INTERACTIVE) or (isinstance(command, RunBenchmark) and command.quick):
        return "interactive"
    return "aside" if isinstance(command, DataCommand) else "background"


def job_for(engine: Engine, command: JobCommand) -> Job:
    """The generator that does what the command asks."""
    match command:
        case LoadModel():
            from engine.jobs.model import ensure_bank

            yield from ensure_bank(engine, command.job, command.config.model, command.config.lora)
        case StartRun():
            from engine.jobs.early import check_start

            check_start(command)
            from engine.jobs.run import start_run

            yield from start_run(engine, command)
        case ResumeRun():
            from engine.jobs.early import check_resume

            check_resume(command)
            from engine.jobs.run import resume_run

            yield from resume_run(engine, command)
        case Attend():
            from engine.jobs.attend import attend

            yield from attend(engine, command)
        case CreateFederation() | ServeFederation() | DescribeFederation():
            from engine.jobs.federation import federation_job

            yield from federation_job(command)
        case WhatIf():
            from engine.jobs.what_if import what_if

            yield from what_if(engine, command)
        case RunBenchmark():
            from engine.jobs.benchmark import benchmark

            yield from benchmark(engine, command)
        case Chat() | Compare():
            from engine.jobs.chat import chat

            yield from chat(engine, command)
        case _:
            yield from data_job(command)
