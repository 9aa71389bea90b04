"""`fedmed-tui doctor`: is everything here that a run needs? One line a check, with the mend under what is amiss."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from engine import locations
from engine.errors import FedMedError
from engine.protocol import EngineReady, Stamped
from fedmed_tui import bundled
from fedmed_tui.cli import DONE, FAILED
from fedmed_tui.engine_client import EngineClient, EngineExit
from fedmed_tui.units import size

MEMORY_NEEDED = 2 * 1024**3
"""The bundled model trains in some 1.1 GiB; the system needs the rest."""
DISK_NEEDED = 1024**3
"""The expanded model takes 0.5 GiB of the cache."""
SMALLEST_TERMINAL = (60, 20)
ENGINE_SECONDS = 60.0
GPU_SECONDS = 20.0


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    found: str
    mend: str = ""
    """What to do about it; empty when all is well."""


def doctor() -> int:
    """Check that all a run needs is here.

    Python, packages, terminal, memory, disk, GPU, base model, engine, folders. Exit code 1 when something is amiss.
    """
    amiss = 0
    for look in CHECKS:
        for check in look():
            mark, amiss = ("✘", amiss + 1) if check.mend else ("✔", amiss)
            print(f"{mark} {check.name:<12} {check.found}", flush=True)
            if check.mend:
                print(f"  {'':<12} → {check.mend}", flush=True)
    print("Everything is in place." if not amiss else f"{amiss} to mend.")
    return FAILED if amiss else DONE


def check_python() -> Iterator[Check]:
    """The interpreter."""
    mend = "" if sys.version_info >= (3, 11) else "Install Python 3.11 or newer."
    yield Check("python", f"{platform.python_version()}, {platform.platform(terse=True)}", mend)


def check_packages() -> Iterator[Check]:
    """Every dependency, at a version that was asked for."""
    try:
        requirements = [Requirement(text) for text in metadata.requires("fedmed-tui") or []]
    except metadata.PackageNotFoundError:
        yield Check("packages", "fedmed-tui itself is not installed", "Run `make run`, or `pip install -e .` in the checkout.")
        return
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate():
            yield _package(requirement)


def _package(requirement: Requirement) -> Check:
    mend = f"pip install -c constraints.txt '{requirement.name}{requirement.specifier}'"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Check("package", f"{requirement.name} is missing", mend)
    fits = requirement.specifier.contains(version, prereleases=True)
    return Check("package", f"{requirement.name} {version}", "" if fits else mend)


def check_terminal() -> Iterator[Check]:
    """Whether the dashboard can be drawn here."""
    if not sys.stdout.isatty():
        yield Check("terminal", "none here: the dashboard needs one, the commands do not")
        return
    columns, lines = shutil.get_terminal_size()
    fits = columns >= SMALLEST_TERMINAL[0] and lines >= SMALLEST_TERMINAL[1]
    mend = "" if fits else "Make the window at least {} × {}.".format(*SMALLEST_TERMINAL)
    yield Check("terminal", f"{columns} × {lines}, TERM={os.environ.get('TERM', '')}", mend)


def check_machine() -> Iterator[Check]:
    """Cores, memory, disk."""
    yield Check("cores", str(os.cpu_count()))
    memory = psutil.virtual_memory()
    found = f"{size(memory.available)} free of {size(memory.total)}"
    yield Check(
        "memory", found, "" if memory.available >= MEMORY_NEEDED else f"Free {size(MEMORY_NEEDED)}: close other programs."
    )
    for folder in {_nearest(locations.home()), _nearest(locations.cache())}:
        free = shutil.disk_usage(folder).free
        yield Check("disk", f"{size(free)} free at {folder}", "" if free >= DISK_NEEDED else f"Free {size(DISK_NEEDED)} there.")


def check_gpu() -> Iterator[Check]:
    """The card, as its driver names it. None is no fault."""
    program = shutil.which("nvidia-smi")
    if program is None:
        yield Check("gpu", "none: the CPU does the work")
        return
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=GPU_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        yield Check("gpu", "nvidia-smi does not answer", "Reinstall the NVIDIA driver, or use --device cpu.")
        return
    for card in answer.stdout.strip().splitlines():
        yield Check("gpu", card.strip())


def check_model() -> Iterator[Check]:
    """The bundled base model, byte for byte."""
    path = locations.bundled_gguf()
    if path is None:
        yield Check("base model", "the bundled one is missing", "Run `fedmed-tui model fetch`.")
    elif not bundled.is_whole(path):
        yield Check("base model", f"{path} is damaged", "Remove it and run `fedmed-tui model fetch`.")
    else:
        yield Check("base model", f"{path}, checksum right")


def check_engine() -> Iterator[Check]:
    """An engine process starts and answers."""
    try:
        ready = asyncio.run(_start_engine())
    except (FedMedError, TimeoutError) as error:
        why = str(error) or f"no answer within {ENGINE_SECONDS:.0f} s"
        yield Check("engine", why, "Read the end of its log; `pip install -c constraints.txt -e .` mends a broken package.")
    else:
        yield Check("engine", f"version {ready.version} starts and answers, protocol {ready.protocol}")


async def _start_engine() -> EngineReady:
    answered: asyncio.Future[EngineReady] = asyncio.get_running_loop().create_future()

    def take(stamped: Stamped) -> None:
        if isinstance(stamped.event, EngineReady) and not answered.done():
            answered.set_result(stamped.event)

    def ended(how: EngineExit) -> None:
        if not answered.done():
            answered.set_exception(FedMedError(how.sentence))

    client = EngineClient(take, ended, attached=False)
    await client.start()
    try:
        return await asyncio.wait_for(answered, ENGINE_SECONDS)
    finally:
        await client.stop()


def check_folders() -> Iterator[Check]:
    """Everything that is written to can be written to."""
    folders = {"runs": locations.runs_folder(), "cache": locations.cache(), "log": locations.log_file().parent}
    for name, folder in folders.items():
        there = _nearest(folder)
        writable = there.is_dir() and os.access(there, os.W_OK)
        yield Check(name, str(folder), "" if writable else f"{there} cannot be written to: check its owner and permissions.")


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


CHECKS: tuple[Callable[[], Iterator[Check]], ...] = (
    check_python,
    check_packages,
    check_terminal,
    check_machine,
    check_gpu,
    check_model,
    check_engine,
    check_folders,
)
