"""Federations on this computer, as jobs: make one, start and stop its server, see who is there."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import suppress

import psutil

from engine.errors import FederationError
from engine.federated.flare.kits import Federation, create_federation, nvflare, read_federation
from engine.federated.flare.question import in_thread
from engine.federated.flare.site import site_argv
from engine.federation_messages import (
    CreateFederation,
    DescribeFederation,
    FederationCreated,
    FederationDescribed,
    Kit,
    ServeFederation,
)
from engine.protocol import Progress
from engine.scheduler import Job

START_SECONDS = 60.0
STOP_SECONDS = 20.0
PAUSE = 0.2
PID, LOG = "server.pid", "server.log"


def federation_job(command: CreateFederation | ServeFederation | DescribeFederation) -> Job:
    """The generator that does what the command asks. Raises FederationError."""
    match command:
        case CreateFederation():
            yield Progress(job=command.job, what="making certificates and kits", done=0, total=0)
            made = create_federation(command.name, command.server, command.port, command.hospitals)
            kits = tuple(Kit(participant=name, folder=str(made.kit(name))) for name in made.hospitals)
            yield FederationCreated(
                job=command.job, name=made.name, server=made.server, port=made.port, folder=str(made.folder), kits=kits
            )
        case ServeFederation():
            federation = read_federation(command.name)
            yield from (_start(command.job, federation) if command.action == "start" else _stop(federation))
            yield from _described(command.job, federation)
        case DescribeFederation():
            yield None
            yield from _described(command.job, read_federation(command.name))


def _start(job: str, federation: Federation) -> Job:
    if running(federation):
        return
    kit = federation.kit("server")
    with (kit / LOG).open("ab") as log:
        process = subprocess.Popen(site_argv(kit), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    (kit / PID).write_text(str(process.pid), encoding="ascii")
    until = time.monotonic() + START_SECONDS
    yield Progress(job=job, what="starting the server", done=0, total=0)
    while not (yield from in_thread(lambda: _answers(federation))):
        if process.poll() is not None or time.monotonic() > until:
            raise FederationError(
                "its server did not start.",
                where=federation.name,
                hint=f"Is port {federation.port} free? The server's log: {kit / LOG}",
            )
        yield from in_thread(lambda: time.sleep(PAUSE))


def _stop(federation: Federation) -> Job:
    until = time.monotonic() + STOP_SECONDS
    while (process := running(federation)) and time.monotonic() < until:
        process.terminate()
        yield from in_thread(lambda: time.sleep(PAUSE))
    (federation.kit("server") / PID).unlink(missing_ok=True)


def running(federation: Federation) -> psutil.Process | None:
    """The process that `start` left, while it lives."""
    with suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(int((federation.kit("server") / PID).read_text(encoding="ascii")))
        if "engine.federated.flare.site" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def _answers(federation: Federation) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", federation.port), timeout=1.0):
        return True
    return False


def _described(job: str, federation: Federation) -> Job:
    connected: list[str] = []
    runs: list[str] = []
    up = yield from in_thread(lambda: _answers(federation))
    if up:
        with suppress(Exception):  # it is starting or stopping: then nobody is seen
            connected, runs = yield from in_thread(lambda: nvflare().look(federation.kit("operator"), federation.name))
    yield FederationDescribed(
        job=job,
        name=federation.name,
        server=federation.server,
        port=federation.port,
        up=up,
        hospitals=federation.hospitals,
        connected=tuple(connected),
        running=tuple(runs),
    )
