"""Everything that touches NVIDIA FLARE: its certificates and kits, its processes, its job, its two ends of a call.

NVFlare carries calls and nothing else. A job names two classes of this file, which every site has installed: no code travels, and
each site's own list of allowed classes holds only what is named here. The server's part of a job is a relay between the
coordinator (in its engine process on the same machine) and the hospitals; a hospital's part is a relay to its own engine process.
Both see messages as bytes (see `wire`): nothing is unpickled anywhere.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nvflare.collab import collab
from nvflare.collab.api.context import get_call_context, set_call_context
from nvflare.fuel.flare_api.flare_api import Session, new_secure_session
from nvflare.lighter.entity import Project
from nvflare.lighter.impl.cert import CertBuilder
from nvflare.lighter.impl.signature import SignatureBuilder
from nvflare.lighter.impl.static_file import StaticFileBuilder
from nvflare.lighter.impl.workspace import WorkspaceBuilder
from nvflare.lighter.provisioner import Provisioner

from engine.errors import FederationError
from engine.federated.flare.channel import BEAT_SECONDS, Answer, Call, Halt, Line, News, Sites, knock
from engine.federated.flare.child import Child, Fallen
from engine.interpreter import module_argv
from engine.protocol import Stamped, encode_event

KIT, DATA = "FEDMED_KIT", "FEDMED_HOSPITAL_DATA"
"""Environment of a hospital's processes: its kit's folder, its partition."""
OPERATOR = "operator"
TICK = 0.5
HEARTBEAT_SECONDS = 3.0
"""How often a connected site is heard of while nothing runs."""
ABSENT_SECONDS = 10.0
"""Without one, a site is not connected: less than the silence after which it is given up, so that no run begins with it again."""
REASONS = {
    "gone": "its engine ended with code {code}",
    "late": "it was told to stop",
    "raised": "an unexpected error ended its work",
}
OVER = {"over": True}
"""In place of an answer: the job ended while the hospital worked."""
VALID_DAYS = 720


# --- certificates and kits -----------------------------------------------------------------------------------------------------


def provision(name: str, server: str, port: int, hospitals: Sequence[str], workspace: Path) -> dict[str, Path]:
    """One kit per participant, signed by a certificate authority made for this federation. Returns folder by participant."""
    project = Project(name, "made by fedmed-tui", props={"api_version": 3})
    project.set_server(server, "coordinator", {"fed_learn_port": port})
    for hospital in hospitals:
        project.add_client(hospital, _organisation(hospital), {})
    project.add_admin(operator_name(name), "coordinator", {"role": "lead"})
    builders = [
        WorkspaceBuilder(template_file=["master_template.yml"]),
        StaticFileBuilder(config_folder="config", scheme="tcp"),
        CertBuilder(root_valid_days=VALID_DAYS),
        SignatureBuilder(),
    ]
    context = Provisioner(str(workspace), builders, None).provision(project, logger=_Quiet())
    made = Path(context.get_result_location())
    return {participant: made / participant for participant in (server, *hospitals, operator_name(name))}


def _organisation(hospital: str) -> str:
    """Each hospital is one of its own; NVFlare takes no `-` in an organisation's name."""
    return hospital.replace("-", "_")


class _Quiet:
    """NVFlare prints; what matters of a failure is raised by it or seen by the caller."""

    def info(self, *_: Any) -> None: ...

    debug = warning = error = info


def operator_name(federation: str) -> str:
    """The operator as its certificate names it."""
    return f"{OPERATOR}@{federation}.local"


# --- processes -----------------------------------------------------------------------------------------------------------------


def server_argv(kit: Path) -> list[str]:
    """The coordinator's NVFlare server."""
    return _argv("server.server_train", kit, "fed_server.json", "org=coordinator")


def hospital_argv(kit: Path, hospital: str) -> list[str]:
    """A hospital's NVFlare client."""
    return _argv(
        "client.client_train",
        kit,
        "fed_client.json",
        f"uid={hospital}",
        f"org={_organisation(hospital)}",
        f"heart_beat_interval={HEARTBEAT_SECONDS}",
    )


def _argv(module: str, kit: Path, config: str, *settings: str) -> list[str]:
    settings = ("secure_train=true", *settings, "config_folder=config")
    return module_argv(f"nvflare.private.fed.app.{module}", "-m", kit, "-s", config, "--set", *settings)


# --- the operator --------------------------------------------------------------------------------------------------------------


@contextmanager
def session(kit: Path, federation: str, seconds: float = 10.0) -> Iterator[Session]:
    """Log in to the server with the operator's certificate."""
    opened = new_secure_session(operator_name(federation), str(kit), timeout=seconds, auto_login_max_tries=1)
    try:
        yield opened
    finally:
        with suppress(Exception):
            opened.close()


def look(kit: Path, federation: str) -> tuple[list[str], list[str]]:
    """Hospitals that the server hears of, and runs in progress. Raises what NVFlare raises when the server does not answer."""
    with session(kit, federation) as opened:
        info = opened.get_system_info()
        jobs = {str(job.job_id): str(job.app_name) for job in info.job_info}
        alive = time.time() - ABSENT_SECONDS
        return sorted(one.name for one in info.client_info if (one.last_connect_time or 0) > alive), sorted(jobs.values())


def submit(kit: Path, federation: str, job: Path) -> str:
    """Hand a job in; returns its id. Raises FederationError when the server is gone or takes none."""
    try:
        with session(kit, federation) as opened:
            return str(opened.submit_job(str(job)))
    except Exception as error:  # NVFlare has no common one
        raise FederationError(f"the server takes no run ({type(error).__name__}).", where=federation) from error


# --- the job's two ends --------------------------------------------------------------------------------------------------------


class CoordinatorRelay:
    """In the server's job process: takes calls from the coordinator, lets hospitals do them, brings answers back."""

    def __init__(self) -> None:
        self._line: Line | None = None

    @collab.main  # type: ignore[untyped-decorator]
    def run(self) -> None:
        """Until the coordinator hangs up, or NVFlare aborts the job."""
        context = get_call_context()
        self._line = line = knock(Path(collab.get_app_prop("door")))
        line.send(Sites(names=tuple(sorted(client.name for client in collab.clients))))
        with suppress(EOFError, OSError):
            while not collab.is_aborted:
                message = line.receive(TICK)
                if isinstance(message, Call):
                    for site in message.sites:
                        threading.Thread(target=self._carry, args=(context, line, message, site), daemon=True).start()
                elif isinstance(message, Halt):
                    self._halt()
        self._halt()
        context.abort_signal.trigger(True)  # calls to sites that are gone would hold the job up until they time out

    @collab.publish  # type: ignore[untyped-decorator]
    def news(self, payload: bytes) -> None:
        """A hospital tells how far it is."""
        if self._line is not None:
            with suppress(OSError):
                self._line.send(News(site=collab.caller, payload=payload))

    def _halt(self) -> None:
        with suppress(Exception):  # a site that is gone needs no halt
            collab.clients(expect_result=False).halt()

    @staticmethod
    def _carry(context: Any, line: Line, call: Call, site: str) -> None:
        """One call to one site, in a thread of its own, so that each is told the moment it comes.

        A job that breaks ends every call early. That is no answer: the coordinator learns it from the end of the line.
        """
        set_call_context(context)
        results = collab.get_clients([site])(timeout=call.seconds).call(method=call.method, payload=call.payload)
        answer = Answer(number=call.number, site=site, fault="gone", reason="its connection broke")
        for _, result in results:
            if result == OVER:
                return
            answer = _answer(call.number, site, result)
        if context.abort_signal.triggered:
            return
        if any(isinstance(failure.cause, TimeoutError) for failure in results.failures.values()):
            answer = Answer(number=call.number, site=site, fault="late", reason=f"it gave no answer in {call.seconds:g} s")
        with suppress(OSError):
            line.send(answer)


def _answer(number: int, site: str, result: Any) -> Answer:
    """What a hospital's relay returned, believed only as far as its types go."""
    match result:
        case {"payload": bytes() as payload, "seconds": float() as seconds}:
            return Answer(number=number, site=site, payload=payload, seconds=seconds)
        case {"fault": "gone" | "late" | "raised" as fault, "code": int() as code}:
            return Answer(number=number, site=site, fault=fault, reason=REASONS[fault].format(code=code))
        case _:
            return Answer(number=number, site=site, fault="damaged", reason="its answer is none of this protocol")


@contextmanager
def _beating(beat: Callable[[], None]) -> Iterator[None]:
    """Call `beat` every few seconds during the block: it says that this site is still there."""
    done = threading.Event()

    def go() -> None:
        while not done.wait(BEAT_SECONDS):
            with suppress(Exception):  # the connection is down: the coordinator will notice the silence
                beat()

    threading.Thread(target=go, daemon=True).start()
    try:
        yield
    finally:
        done.set()


class HospitalRelay:
    """In a hospital's job process: hands calls to the hospital's engine process."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._over = False

    @collab.init  # type: ignore[untyped-decorator]
    def start(self) -> None:
        """Ready to start the engine."""
        self._child = Child(collab.site_name, Path(os.environ[KIT]), Path(os.environ[DATA]))

    @collab.publish  # type: ignore[untyped-decorator]
    def call(self, method: str, payload: bytes) -> dict[str, Any]:
        """One request of the coordinator."""
        assert self._child is not None
        coordinator = collab.server(expect_result=False)

        def tell(event: Any) -> None:
            coordinator.news(payload=encode_event(Stamped(seq=0, time=0.0, event=event)))

        started = time.monotonic()
        try:
            with _beating(lambda: coordinator.news(payload=b"")):
                return {"payload": self._child.call(method, payload, tell), "seconds": time.monotonic() - started}
        except Fallen as fallen:
            return OVER if self._over else {"fault": fallen.kind, "code": fallen.code}

    @collab.publish  # type: ignore[untyped-decorator]
    def halt(self) -> None:
        """Stop working."""
        if self._child is not None:
            self._child.halt()

    @collab.final  # type: ignore[untyped-decorator]
    def end(self) -> None:
        """The job is over."""
        self._over = True
        if self._child is not None:
            self._child.close()
