"""Where a run's hospitals are: in this process, or in a federation."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Protocol

from engine import locations
from engine.data.pairs import RENAME, name_conflict
from engine.data.partition import list_hospitals
from engine.errors import DataError, FederationError
from engine.federated.hospital import Hospital
from engine.federated.transport import InProcess, Transport
from engine.manifest import Manifest
from engine.model.adapters import AdapterBank
from engine.protocol import AnyEvent, HospitalInfo, Progress, RunStarted, decode_event
from engine.settings import RunConfig

Opening = Generator[AnyEvent | None, None, Transport]


class Reach(Protocol):
    """The hospitals of a run, before and while it goes on."""

    names: tuple[str, ...]
    """Sorted."""

    def open(self, bank: AdapterBank, job: str, manifest: Manifest) -> Opening:
        """Reach everybody, with the loaded model. Returns the transport."""
        ...

    def carrying(self) -> float:
        """Seconds since the last call in which messages were on their way and nobody worked."""
        ...

    def news(self) -> list[AnyEvent]:
        """What has happened to the way to the hospitals since the last call."""
        ...

    def close(self) -> None:
        """The run has ended, one way or another."""
        ...


class Here:
    """Hospitals in this process."""

    def __init__(self, config: RunConfig) -> None:
        """Read every partition, before the model is loaded: bad data shows at once. Raises DataError."""
        folder = locations.data_folder(config.data.folder)
        self.names = tuple(sorted(config.data.hospitals or list_hospitals(folder)))
        self._hospitals = [Hospital(name, folder, config) for name in self.names]

    def open(self, bank: AdapterBank, job: str, manifest: Manifest) -> Opening:
        """Give everybody the model."""
        yield Progress(job=job, what="reading the pairs", done=0, total=0)
        for hospital in self._hospitals:
            hospital.attach(bank)
        return InProcess(self._hospitals, manifest.config.federation.deadline_s)

    def carrying(self) -> float:
        """None: nothing is carried."""
        return 0.0

    def news(self) -> list[AnyEvent]:
        """None: there is no way to go."""
        return []

    def close(self) -> None:
        """Nothing is left behind."""


class Elsewhere:
    """Hospitals of a federation, each with an engine of its own."""

    def __init__(self, config: RunConfig) -> None:
        """Raises FederationError when there is no such federation, or it has no such hospital."""
        from engine.federated.flare.kits import read_federation
        from engine.federated.flare.transport import FlareTransport

        self._federation = read_federation(config.federation.name)
        self.names = tuple(sorted(config.data.hospitals or self._federation.hospitals))
        self._transport: FlareTransport | None = None
        if strangers := sorted(set(self.names) - set(self._federation.hospitals)):
            raise FederationError(
                f"has no hospital {strangers[0]}.",
                where=self._federation.name,
                hint=f"It has {', '.join(self._federation.hospitals)}.",
            )

    def open(self, bank: AdapterBank, job: str, manifest: Manifest) -> Opening:
        """Submit the job and let everybody join. Raises FederationError naming who is missing or does not fit."""
        from engine.federated.flare import wire
        from engine.federated.flare.transport import FlareTransport
        from engine.federated.flare.worker import tokenizer_digest

        invitation = wire.Join(
            run=manifest.run,
            config=manifest.config,
            digest=bank.base.folder.digest,
            quantization=bank.base.quantization,
            tokenizer=tokenizer_digest(bank),
        )
        self._transport = FlareTransport(self._federation, invitation, known(locations.run_folder(manifest.run)))
        yield from self._transport.open(job)
        return self._transport

    def carrying(self) -> float:
        """As the transport measured."""
        return self._transport.carrying() if self._transport is not None else 0.0

    def news(self) -> list[AnyEvent]:
        """As the transport noticed."""
        return self._transport.news() if self._transport is not None else []

    def close(self) -> None:
        """Every hospital stops."""
        if self._transport is not None:
            self._transport.close()


def reach(config: RunConfig) -> Reach:
    """Where the settings say. Raises FederationError; DataError, also for hospitals that the run could not tell apart."""
    found = Elsewhere(config) if config.federation.name else Here(config)
    if conflict := name_conflict(found.names):  # named in the settings, or by a federation of an earlier version
        raise DataError(conflict, where=config.federation.name or config.data.folder, hint=RENAME)
    return found


def known(folder: Path) -> dict[str, HospitalInfo]:
    """The hospitals of a run as they entered it, out of its record; empty when it never began."""
    path = folder / "events.jsonl"
    if not path.exists():
        return {}
    with path.open("rb") as record:  # it stands near the beginning of what may be a long record
        for line in record:
            if not line.endswith(b"\n"):
                break  # torn by a kill; it is cut off when the record is opened to go on
            event = decode_event(line).event
            if isinstance(event, RunStarted) and event.hospitals:  # there are none where it could not begin
                return {hospital.name: hospital for hospital in event.hospitals}
    return {}
