"""Which job carries a command out. Modules are imported by the job that needs them, so that the engine is ready at once."""

from __future__ import annotations

from engine import locations
from engine.jobs.context import Engine
from engine.protocol import Chat, DescribeData, ImportData, LoadModel, ResumeRun, StartRun
from engine.scheduler import Job

JobCommand = DescribeData | ImportData | LoadModel | StartRun | ResumeRun | Chat
INTERACTIVE = (DescribeData, LoadModel, Chat)
"""Somebody waits for these: they go before training."""


def job_for(engine: Engine, command: JobCommand) -> Job:
    """The generator that does what the command asks."""
    match command:
        case DescribeData():
            from engine.data.partition import describe

            yield from describe(command.job, locations.data_folder(command.folder), command.examples)
        case ImportData():
            from engine.data.importing import import_data

            yield from import_data(command)
        case LoadModel():
            from engine.jobs.model import ensure_bank

            yield from ensure_bank(engine, command.job, command.config.model, command.config.lora)
        case StartRun():
            from engine.jobs.run import start_run

            yield from start_run(engine, command)
        case ResumeRun():
            from engine.jobs.run import resume_run

            yield from resume_run(engine, command)
        case Chat():
            from engine.jobs.chat import chat

            yield from chat(engine, command)
