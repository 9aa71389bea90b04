"""Nobody without the right certificate can join, start, stop or see a run."""

from __future__ import annotations

import importlib
import shutil
import socket
import ssl
from pathlib import Path
from types import ModuleType

import pytest

from engine.federated.flare import kits
from engine.federated.flare.job import write_job
from tests.cli.helpers import edit_json
from tests.flare.conftest import HOSPITALS, Deployment, eventually

SECONDS = 4.0


def test_without_a_certificate_the_server_does_not_talk(deployment: Deployment) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    # A server that let us in would wait for a word of ours: the time-out that follows must not pass for a refusal.
    with pytest.raises((ssl.SSLError, ConnectionError)), connection(deployment) as plain:
        with context.wrap_socket(plain) as secure:
            secure.sendall(b"hello")
            if not secure.recv(1):
                raise ConnectionError("closed")


def test_plain_http_is_not_answered(deployment: Deployment) -> None:
    with connection(deployment) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            answer = plain.recv(100)
        except ConnectionError:
            answer = b""

    assert not answer.startswith(b"HTTP")


def test_the_operator_of_this_federation_is_let_in(deployment: Deployment, runtime: ModuleType) -> None:
    with runtime.session(deployment.federation.kit("operator"), "city", SECONDS) as opened:
        assert opened.get_system_info()


def test_the_operator_of_another_federation_is_turned_away(deployment: Deployment, runtime: ModuleType) -> None:
    kits.create_federation("elsewhere", "localhost", deployment.federation.port, HOSPITALS)
    stranger = kits.read_federation("elsewhere")

    with pytest.raises(ConnectionError, match="cannot connect"):
        with runtime.session(stranger.kit("operator"), "elsewhere", SECONDS):
            pytest.fail("it was let in")


def test_a_hospital_cannot_act_as_the_operator(deployment: Deployment, runtime: ModuleType, tmp_path: Path) -> None:
    forged = tmp_path / "operator"
    shutil.copytree(deployment.federation.kit("operator"), forged)
    for part in ("client.crt", "client.key"):
        shutil.copy(deployment.federation.kit("A") / "startup" / part, forged / "startup" / part)

    refused = importlib.import_module("nvflare.apis.fl_exception").FLCommunicationError
    with pytest.raises(refused, match="client_registration"), runtime.session(forged, "city", SECONDS):
        pytest.fail("it was let in")


def test_a_job_that_carries_code_for_a_hospital_is_refused_there(
    deployment: Deployment, runtime: ModuleType, tmp_path: Path
) -> None:
    """NVFlare's word for it is "bring your own code". The server's part carries none: it lets the job through."""
    job, mark = write_job(tmp_path, "carrier", ("A",), 1, tmp_path / "door"), tmp_path / "mark"
    shutil.copytree(job / "app", job / "carrying")
    (job / "carrying" / "custom").mkdir()
    (job / "carrying" / "custom" / "torch.py").write_text(f"open({str(mark)!r}, 'w')")
    edit_json(job / "meta.json", lambda meta: meta.update(deploy_map={"app": ["server"], "carrying": ["A"]}))

    with runtime.session(deployment.federation.kit("operator"), "city") as opened:
        number = opened.submit_job(str(job))
        eventually(lambda: opened.get_job_meta(number)["status"].startswith("FINISHED"))

    answers = (deployment.federation.kit("server") / "log.txt").read_text()
    assert f"Failed to run the Job ({number})" in answers
    assert "'server: OK', 'A: NVFLARE_ERROR: BYOC not permitted'" in answers
    assert not mark.exists()


def connection(deployment: Deployment) -> socket.socket:
    return socket.create_connection(("127.0.0.1", deployment.federation.port), timeout=SECONDS)


def test_a_hospital_of_another_federation_cannot_connect(deployment: Deployment, tmp_path: Path, runtime: ModuleType) -> None:
    made = runtime.provision("afar", "localhost", deployment.federation.port, ("A",), tmp_path)

    assert not greeted(deployment, made["A"])


def test_a_hospital_of_this_federation_can(deployment: Deployment) -> None:
    assert greeted(deployment, deployment.federation.kit("A"), seconds=0.5)


def greeted(deployment: Deployment, kit: Path, seconds: float = SECONDS) -> bool:
    """Whether the server still listens after it has seen a kit's certificate: it waits for a word, or closes at once."""
    context = ssl.create_default_context(cafile=str(deployment.federation.kit("A") / "startup" / "rootCA.pem"))
    context.check_hostname = False
    context.load_cert_chain(kit / "startup" / "client.crt", kit / "startup" / "client.key")
    with connection(deployment) as plain:
        try:
            with context.wrap_socket(plain) as secure:
                secure.settimeout(seconds)
                return bool(secure.recv(1))
        except TimeoutError:
            return True
        except OSError:
            return False
