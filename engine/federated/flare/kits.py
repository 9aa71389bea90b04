"""Federations on the coordinator's disk: their names, hospitals and kits, and what a kit allows.

FEDMED_HOME/federations/NAME/
  federation.json        name, server, port, hospitals
  authority/             the certificate authority; whoever has it can add hospitals
  server/  operator/     the coordinator's own kits
  hospital_A/ …          one kit per hospital: to be moved to that hospital, and to nobody else
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from engine import locations, strict_json
from engine.data.pairs import RENAME, RESERVED, name_conflict
from engine.data.partition import PREFIX, SUFFIX
from engine.errors import DataError, FederationError
from engine.federated.flare.job import CONTROLLER, COORDINATOR_RELAY, EXECUTOR, HOSPITAL_RELAY
from engine.federated.flare.policy import FILE as POLICY
from engine.federated.flare.policy import TEMPLATE
from engine.files import read_regular, write_atomically

FILE = "federation.json"
HOSPITAL_FILE = "hospital.json"
MAX_BYTES = 2**20
HOSPITAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""NVFlare takes no dot in a name."""
HospitalName = Annotated[str, Meta(pattern=rf"^{HOSPITAL.pattern}\Z")]
HEARTBEAT_SECONDS = 20
SCHEDULE_SECONDS = 1.0
ALLOWED_AT_SERVER = (CONTROLLER, COORDINATOR_RELAY)
ALLOWED_AT_HOSPITAL = (EXECUTOR, HOSPITAL_RELAY)
OPERATOR_RIGHTS = {
    "submit_job": "any",
    "clone_job": "none",
    "manage_job": "n:submitter",
    "download_job": "none",
    "view": "any",
    "operate": "none",
    "shell_commands": "none",
    "byoc": "none",
    "server-predeployed-flwr": "none",
}
"""At a hospital and at the server: a run may be started and stopped by whoever started it; no shell, no code, no logs."""


class Federation(Struct, frozen=True, kw_only=True):
    """What the coordinator knows of a federation."""

    name: str
    server: str
    """Host name or address under which hospitals reach the coordinator's machine."""
    port: int
    hospitals: tuple[HospitalName, ...]

    @property
    def folder(self) -> Path:
        """See the module."""
        return folder_of(self.name)

    def kit(self, participant: str) -> Path:
        """Of `server`, `operator`, or a hospital."""
        return self.folder / (participant if participant in ("server", "operator") else f"hospital_{participant}")


class _Whose(Struct, frozen=True):
    hospital: HospitalName


_decoder = msgspec.json.Decoder(Federation)
_whose_decoder = msgspec.json.Decoder(_Whose)


def nvflare() -> ModuleType:
    """The file that knows NVFlare. Raises FederationError where the extra is not installed."""
    try:
        return import_module("engine.federated.flare.runtime")
    except ModuleNotFoundError as error:
        raise FederationError(
            "needs NVIDIA FLARE, which is not installed.",
            where=error.name or "nvflare",
            hint="In the checkout: pip install -c constraints.txt -e '.[flare]'",
        ) from None


def folder_of(name: str) -> Path:
    """Where a federation lies. Raises FederationError when the name could leave the folder."""
    if not locations.RUN_NAME.fullmatch(name) or name != name.lower():
        raise FederationError(
            "is not a federation's name.", where=repr(name)[:100], hint="Use lower-case letters, digits and '-'."
        )
    return locations.federations_folder() / name


def read_federation(name: str) -> Federation:
    """Raises FederationError when there is none of this name."""
    path = folder_of(name) / FILE
    try:
        federation = strict_json.decode(read_regular(path, MAX_BYTES), _decoder)
        return msgspec.structs.replace(federation, name=name)  # whatever the file says: its folder is its name
    except FileNotFoundError:
        raise FederationError(
            "there is no such federation.", where=name, hint="`fedmed-tui federation create` makes one."
        ) from None
    except (OSError, ValueError) as error:
        raise FederationError(f"is damaged: {error}.", where=str(path), hint="Restore it from a copy.") from None


def hospital_of(kit: Path) -> str:
    """Whose kit a folder is. Raises FederationError when it is none: it comes from somewhere else."""
    try:
        return strict_json.decode(read_regular(kit / HOSPITAL_FILE, MAX_BYTES), _whose_decoder).hospital
    except (OSError, ValueError):
        raise FederationError(
            "is no hospital's kit.", where=str(kit), hint="Name the folder that the coordinator sent."
        ) from None


def partition_folder(data: Path, hospital: str) -> Path:
    """The folder that holds `hospital_X`, given that folder or the partition itself. Raises DataError."""
    if data.name in (f"{PREFIX}{hospital}", f"{PREFIX}{hospital}{SUFFIX}") and data.exists():
        return data.parent
    if any((data / f"{PREFIX}{hospital}{ending}").exists() for ending in ("", SUFFIX)):
        return data
    raise DataError(
        f"holds no data of hospital {hospital}.",
        where=str(data),
        hint=f"Name the folder {PREFIX}{hospital}, or the one it is in.",
    )


def create_federation(name: str, server: str, port: int, hospitals: Sequence[str]) -> Federation:
    """Make certificates and kits. Raises FederationError when the name is taken or a hospital's name cannot be used."""
    folder = folder_of(name)
    if folder.exists():
        raise FederationError(
            "a federation of this name exists.", where=str(folder), hint="Choose another name, or remove that folder."
        )
    if wrong := [one for one in hospitals if not HOSPITAL.fullmatch(one)]:
        raise FederationError(
            "is not a hospital's name.", where=repr(wrong[0])[:100], hint="Letters, digits, '_' and '-', as in hospital_A."
        )
    if not hospitals:
        raise FederationError("names no hospital.", where="--hospitals", hint="For example --hospitals A,B,C.")
    if conflict := name_conflict(sorted(set(hospitals)), (*RESERVED, "server", "operator", server)):
        raise FederationError(conflict, where="--hospitals", hint=RENAME)
    federation = Federation(name=name, server=server, port=port, hospitals=tuple(sorted(set(hospitals))))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as work:
        try:
            made = nvflare().provision(name, server, port, federation.hospitals, Path(work) / "workspace")
        except ValueError as error:  # NVFlare's own checks
            raise FederationError(f"NVFlare makes no kits of this: {error}", where=name) from None
        whole = Path(work) / "whole"
        whole.mkdir(mode=0o700)
        shutil.move(Path(work) / "workspace" / name / "state", whole / "authority")
        for participant, path in made.items():
            hospital = participant if participant in federation.hospitals else ""
            kit = whole / (f"hospital_{hospital}" if hospital else "server" if participant == server else "operator")
            shutil.move(path, kit)
            kit.chmod(0o700)
            if kit.name != "operator":
                _settle(kit, folder / kit.name, hospital)
        write_atomically(whole / FILE, msgspec.json.format(msgspec.json.encode(federation), indent=2))
        whole.rename(folder)
    return federation


def _settle(kit: Path, later: Path, hospital: str) -> None:
    """Replace NVFlare's defaults by what this project needs and no more."""
    local = kit / "local"
    resources = json.loads((local / "resources.json.default").read_text(encoding="utf-8"))
    resources = _hospital_resources(resources) if hospital else _server_resources(resources, later)
    rights = {"format_version": "1.0", "permissions": {"lead": OPERATOR_RIGHTS}}
    for name, content in (("resources.json", resources), ("authorization.json", rights), ("log_config.json", None)):
        source = local / f"{name}.default"
        text = json.dumps(content, indent=2) if content is not None else source.read_text(encoding="utf-8")
        source.unlink()
        (local / name).write_text(text, encoding="utf-8")
    if hospital:
        (local / POLICY).write_text(TEMPLATE, encoding="utf-8")
        write_atomically(kit / HOSPITAL_FILE, json.dumps({"hospital": hospital}).encode())


def _server_resources(resources: dict[str, Any], kit: Path) -> dict[str, Any]:
    resources["class_allow_list"] = list(ALLOWED_AT_SERVER)
    resources["servers"][0] |= {"heart_beat_timeout": HEARTBEAT_SECONDS, "download_job_url": "", "max_num_clients": 1000}
    resources["snapshot_persistor"]["args"]["storage"]["args"]["root_dir"] = str(kit / "snapshots")
    for component in resources["components"]:
        if component["id"] == "job_manager":
            component["args"]["uri_root"] = str(kit / "jobs")
        if component["id"] == "job_scheduler":
            component["args"] = {"max_jobs": 4, "min_schedule_interval": SCHEDULE_SECONDS}
    resources["components"] = [one for one in resources["components"] if one["id"] != "log_receiver"]
    return resources


def _hospital_resources(resources: dict[str, Any]) -> dict[str, Any]:
    """No log of a hospital goes to the server."""
    resources["class_allow_list"] = list(ALLOWED_AT_HOSPITAL)
    resources["allow_log_streaming"] = False
    resources["components"] = [one for one in resources["components"] if one["id"] != "site_log_streamer"]
    return resources
