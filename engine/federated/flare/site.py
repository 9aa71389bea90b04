"""One site of a federation as a process in the foreground: `python -P -m engine.federated.flare.site KIT [DATA]`.

It starts NVFlare's process for the kit and waits. Ctrl+C or SIGTERM ends that process and everything below it, so that nothing is
left behind; when this process is killed outright, NVFlare's and the engine's processes notice and end by themselves.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

from engine.errors import FederationError, FedMedError
from engine.federated.flare.kits import hospital_of, nvflare, partition_folder
from engine.interpreter import SAFE, module_argv

GRACE_SECONDS = 8.0


def site_argv(kit: Path, data: Path | None = None) -> list[str]:
    """How to start it from another process."""
    return module_argv("engine.federated.flare.site", kit, *([data] if data else []))


def main(arguments: list[str]) -> int:
    """Run until told to stop. Returns the exit code."""
    kit, data = Path(arguments[0]).resolve(), Path(arguments[1]).resolve() if len(arguments) > 1 else None
    try:
        argv, environment = _prepared(kit, data)
    except FedMedError as error:
        told = f"{error.title}: {error}"  # may hold a folder's name, and that what a terminal obeys
        print("".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in told), file=sys.stderr)
        return 2
    process = subprocess.Popen(argv, env=environment, cwd=kit)

    def stop(number: int, frame: FrameType | None) -> None:
        _end(process)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return process.wait()


def _prepared(kit: Path, data: Path | None) -> tuple[list[str], dict[str, str]]:
    """NVFlare's command for this kit, and its environment. Raises FederationError when it is no kit, DataError for bad data."""
    from engine.data.partition import read_partition
    from engine.federated.flare.policy import read_policy

    runtime = nvflare()
    environment = {**os.environ, **SAFE, "PYTHONUNBUFFERED": "1"}
    if (kit / "startup" / "fed_server.json").is_file():
        return runtime.server_argv(kit), environment
    hospital = hospital_of(kit)
    if data is None:
        raise FederationError("needs a data folder.", where=hospital)
    read_policy(kit)
    read_partition(partition_folder(data, hospital), hospital)
    return runtime.hospital_argv(kit, hospital), environment | {runtime.KIT: str(kit), runtime.DATA: str(data)}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Politely, then not, all the way down."""
    with suppress(psutil.Error):
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for one in family:
                with suppress(psutil.Error):
                    one.send_signal(number)
            family = psutil.wait_procs(family, timeout=GRACE_SECONDS)[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
