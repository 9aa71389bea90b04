"""One real federation on this machine for all tests here: certificates, a server, three hospitals, each its own processes."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from engine import locations
from engine.federated.flare import kits
from engine.federated.flare.kits import Federation
from engine.settings import RunConfig
from fedmed_tui.sites import Site
from tests.process.conftest import tiny_config
from tests.process.planted import plant

HOSPITALS = ("A", "B", "C")
PATIENCE = 90.0
SPY = Path(__file__).parent / "name_lookups"
"""A folder whose `sitecustomize.py` notes every name that a Python process looks up."""


@pytest.fixture(scope="session")
def runtime() -> ModuleType:
    """The file that knows NVFlare."""
    pytest.importorskip("nvflare", reason="NVIDIA FLARE is not installed: pip install -e '.[flare]'")
    return kits.nvflare()


class Deployment:
    """The federation's processes."""

    def __init__(self, federation: Federation, runtime: ModuleType, lookups: Path) -> None:
        self.federation = federation
        self.lookups = lookups
        self._runtime = runtime
        self._sites: dict[str, Site] = {}

    def start(self, participant: str, model: Path | None = None) -> None:
        """The server, or a hospital with its part of the sample corpus and, if it has one, a base model of its own."""
        kit = self.federation.kit(participant)
        data = None if participant == "server" else locations.sample_folder()
        self._sites[participant] = Site(kit, data, {"FEDMED_HOSPITAL_MODEL": str(model)} if model else {}, kit / "site.log")

    def stop(self, participant: str) -> None:
        """As a person does with Ctrl+C."""
        self._sites.pop(participant).stop()

    def kill(self, participant: str) -> None:
        """Every process of it at once, as a power cut does."""
        family = self.family(participant)
        del self._sites[participant]
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=PATIENCE)

    @contextmanager
    def frozen(self, processes: list[psutil.Process]) -> Iterator[None]:
        """They stand still during the block: to others, a machine whose network is cut."""
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with suppress(psutil.Error):  # it was killed meanwhile
                    process.resume()

    @contextmanager
    def away(self, hospital: str) -> Iterator[None]:
        """It has left during the block."""
        self.stop(hospital)
        self.wait_for(*(name for name in HOSPITALS if name != hospital))
        try:
            yield
        finally:
            self.start(hospital)
            self.wait_for(*HOSPITALS)

    def family(self, participant: str) -> list[psutil.Process]:
        """All of its processes."""
        root = psutil.Process(self._sites[participant].process.pid)
        return [root, *root.children(recursive=True)]

    def processes(self, participant: str, *words: str) -> list[psutil.Process]:
        """Its processes with these words on their command lines."""
        found = []
        for process in self.family(participant):
            with suppress(psutil.Error):  # it has just ended
                found += [process] if all(word in process.cmdline() for word in words) else []
        return found

    def engines(self, participant: str) -> list[psutil.Process]:
        """Its engine processes."""
        return self.processes(participant, "-m", "engine")

    def jobs(self, participant: str) -> list[psutil.Process]:
        """NVFlare's processes for the runs that a hospital takes part in."""
        return self.processes(participant, "nvflare.private.fed.app.client.worker_process")

    def connected(self) -> list[str]:
        """Hospitals that the server hears of."""
        try:
            return list(self._runtime.look(self.federation.kit("operator"), self.federation.name)[0])
        except Exception:
            return []

    def wait_for(self, *hospitals: str) -> None:
        """Until these and no others are connected."""
        eventually(lambda: tuple(self.connected()) == hospitals)

    def stop_all(self) -> None:
        """Hospitals first."""
        for participant in sorted(self._sites):
            self.stop(participant)


@pytest.fixture(scope="session")
def federation_home(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[Path]:
    """The working folder of all tests here: a federation's kits are found in it."""
    folder = tmp_path_factory.mktemp("federation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDMED_HOME", str(folder))
        patch.setenv("FEDMED_CACHE", str(model_cache))
        patch.setenv("FEDMED_LOG", str(folder / "engine.log"))
        patch.setenv("FEDMED_THREADS", "1")
        patch.setenv("FEDMED_TEST_LOOKUPS", str(folder / "lookups.txt"))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(SPY), *filter(None, [os.environ.get("PYTHONPATH")])]))
        yield folder


@pytest.fixture(scope="session")
def deployment(federation_home: Path, runtime: ModuleType) -> Iterator[Deployment]:
    """Up, with everybody connected. A test that takes somebody away brings them back."""
    federation = kits.create_federation("city", "localhost", free_port(), HOSPITALS)
    for participant in ("server", *HOSPITALS):
        plant(federation.kit(participant))
    running = Deployment(federation, runtime, federation_home / "lookups.txt")
    try:
        for participant in ("server", *HOSPITALS):
            running.start(participant)
        running.wait_for(*HOSPITALS)
        yield running
    finally:
        running.stop_all()


def city_config(model: Path, **settings: Any) -> RunConfig:
    """A run on the federation under test."""
    return tiny_config(model, federation__name="city", **settings)


def digests(run: str) -> list[str]:
    """Of the global adapter after each round."""
    rounds = sorted((locations.run_folder(run) / "rounds").glob("*/global.safetensors"))
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in rounds]


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds; fails when it does not."""
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
