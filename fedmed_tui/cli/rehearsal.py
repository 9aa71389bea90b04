"""`fedmed-tui federation rehearse`: a coordinator and three hospitals on one machine, as separate processes with certificates."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer

from engine import locations
from engine.errors import EngineError
from engine.protocol import (
    AnyCommand,
    AnyEvent,
    CreateFederation,
    DescribeFederation,
    FederationDescribed,
    ServeFederation,
    StartRun,
)
from engine.settings import load_config
from fedmed_tui import runs
from fedmed_tui.cli import DONE
from fedmed_tui.cli.data_job import AsJson
from fedmed_tui.cli.output import event_output
from fedmed_tui.cli.session import EngineSession, run_job
from fedmed_tui.sites import ENDING, Site, when_told_to_end

NAME = "rehearsal"
HOSPITALS = ("A", "B", "C")
JOB = "rehearsal"
CONNECT_SECONDS = 120.0


def rehearse(
    *,
    rounds: Annotated[int | None, typer.Option(help="training.rounds")] = None,
    hold: Annotated[bool, typer.Option("--hold", help="Start no run: keep the federation up until Ctrl+C.")] = False,
    as_json: AsJson = False,
) -> int:
    """Try a federation on this computer: a server and three hospitals, each a process of its own, with the sample corpus.

    With --hold nothing is trained: open `fedmed-tui` in another terminal, press n, and choose `rehearsal` in “Where”.
    """
    with when_told_to_end(_interrupt, *ENDING), rehearsal():
        if hold:
            return _hold()
        overrides = {"federation.name": NAME} | ({"training.rounds": rounds} if rounds is not None else {})
        config = load_config(overrides=overrides)
        with event_output(as_json=as_json) as show:
            return run_job(StartRun(job=JOB, run=runs.new_run_name(config), config=config), show)


@contextmanager
def rehearsal() -> Iterator[None]:
    """A federation on this computer, up and with everybody connected; nothing of it is left running after the block.

    All processes compute with the same few threads: three hospitals share the cores, and the thread count decides the last bits.
    """
    os.environ.setdefault("FEDMED_THREADS", str(max(1, (os.cpu_count() or 1) // len(HOSPITALS))))
    folder = locations.federations_folder() / NAME
    if folder.is_dir():
        asyncio.run(_jobs(ServeFederation(job=JOB, name=NAME, action="stop")))
        shutil.rmtree(folder)
    print("Making certificates and starting a server and three hospitals …", file=sys.stderr)
    asyncio.run(
        _jobs(
            CreateFederation(job=JOB, name=NAME, server="localhost", hospitals=HOSPITALS, port=_free_port()),
            ServeFederation(job=JOB, name=NAME, action="start"),
        )
    )
    sites: list[Site] = []
    try:
        for hospital in HOSPITALS:
            kit = folder / f"hospital_{hospital}"
            with (kit / "local" / "policy.toml").open("a", encoding="utf-8") as policy:
                policy.write('hub_models = ["*"]\n')  # whoever rehearses is coordinator and hospital alike
            sites.append(Site(kit, locations.sample_folder(), log=kit / "site.log"))
        asyncio.run(_connected())
        yield
    finally:
        for site in sites:
            site.stop()
        asyncio.run(_jobs(ServeFederation(job=JOB, name=NAME, action="stop")))


async def _jobs(*commands: AnyCommand) -> list[AnyEvent]:
    """Run jobs one after the other in one engine; returns what it said."""
    said: list[AnyEvent] = []
    async with EngineSession(lambda stamped: said.append(stamped.event)) as session:
        for command in commands:
            await session.run(command)
    return said


async def _connected() -> None:
    """Wait for every hospital. Raises EngineError when one does not come."""
    until, now = time.monotonic() + CONNECT_SECONDS, None
    said: list[AnyEvent] = []
    async with EngineSession(lambda stamped: said.append(stamped.event)) as session:
        while time.monotonic() < until:
            await session.run(DescribeFederation(job=JOB, name=NAME))
            now = next(event for event in reversed(said) if isinstance(event, FederationDescribed))
            if now.connected == now.hospitals:
                return
            await asyncio.sleep(0.5)
    absent = sorted(set(HOSPITALS) - set(now.connected if now else ()))
    raise EngineError(
        f"hospital {absent[0]} did not connect.",
        where=NAME,
        hint=f"Its log: {locations.federations_folder() / NAME / f'hospital_{absent[0]}' / 'site.log'}",
    )


def _interrupt() -> None:
    raise KeyboardInterrupt


def _hold() -> int:
    print(
        f"The federation `{NAME}` is up. In another terminal: fedmed-tui, or fedmed-tui train --federation {NAME}",
        file=sys.stderr,
    )
    print("Ctrl+C ends it.", file=sys.stderr)
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)  # Windows has no signal.pause
    return DONE


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
