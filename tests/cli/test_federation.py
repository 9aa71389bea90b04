"""`fedmed-tui federation …` and `hospital start`: kits, the server, the rehearsal, and what is said of bad input."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from engine import locations
from engine.federated.flare.kits import create_federation
from engine.interpreter import module_argv
from fedmed_tui import runs
from fedmed_tui.cli import BAD_INPUT, DONE, main
from tests.flare.conftest import eventually, free_port

pytest.importorskip("nvflare", reason="NVIDIA FLARE is not installed: pip install -e '.[flare]'")


def test_create_makes_a_kit_per_hospital_and_says_what_goes_where(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["federation", "create", "city", "--hospitals", "A,St-Marys", "--server", "localhost"]) == DONE

    assert str(home / "federations" / "city" / "hospital_St-Marys") in capfd.readouterr().out
    for kit in ("hospital_A", "hospital_St-Marys", "server", "operator"):
        assert stat.S_IMODE((home / "federations" / "city" / kit).stat().st_mode) == 0o700


def test_the_server_goes_on_in_the_background_until_it_is_stopped(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    city = ["city", "--hospitals", "A,B", "--server", "localhost", "--port", str(free_port())]
    assert main(["federation", "create", *city]) == DONE
    said = dict[str, str]()
    try:
        for command in ("start", "status"):
            capfd.readouterr()
            assert main(["federation", command, "city"]) == DONE
            said[command] = capfd.readouterr().out
    finally:
        assert main(["federation", "stop", "city"]) == DONE
    capfd.readouterr()
    main(["federation", "status", "city"])

    assert "is up" in said["start"] and "is up" in said["status"]
    assert "A  not connected" in said["status"] and "running: nothing" in said["status"]
    assert "is down" in capfd.readouterr().out


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name)
def test_a_hospital_that_is_told_to_end_leaves_no_process(home: Path, end: signal.Signals) -> None:
    create_federation("city", "localhost", free_port(), ("A",))
    kit = home / "federations" / "city" / "hospital_A"
    command = module_argv("fedmed_tui", "hospital", "start", kit, "--data", locations.sample_folder())
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        eventually(lambda: any("client_train" in line for line in lines_of_processes_with(kit)))
        process.send_signal(end)
        code = process.wait(120)

    assert code == DONE
    assert not lines_of_processes_with(kit)


def lines_of_processes_with(kit: Path) -> list[str]:
    """Command lines that name this kit."""
    found = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in found if str(kit) in line]


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_rehearsal_is_held_until_it_is_told_to_end_and_leaves_no_process(home: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-m", "fedmed_tui", "federation", "rehearse", "--hold"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "The federation `rehearsal` is up" in line)
        up = kits_in_use(home)
        process.send_signal(end)
        process.communicate(timeout=120)

    assert process.returncode == DONE
    assert up >= {"server", "hospital_A", "hospital_B", "hospital_C"}
    assert not kits_in_use(home)
    assert not list((home / "output-models").glob("*"))


@pytest.mark.slow
def test_a_rehearsal_trains_over_the_federation(home: Path) -> None:
    command = [sys.executable, "-m", "fedmed_tui", "federation", "rehearse", "--rounds", "1"]

    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)

    assert (result.returncode, runs.list_runs()[0].config.federation.name) == (DONE, "rehearsal"), result.stderr
    assert runs.list_runs()[0].completed == 1
    assert not kits_in_use(home)


def kits_in_use(home: Path) -> set[str]:
    """Kits below this folder that a process was started with."""
    lines = [word for process in psutil.process_iter(["cmdline"]) for word in process.info["cmdline"] or ()]
    return {Path(word).name for word in lines if Path(word).is_relative_to(home / "federations")}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("City", "--hospitals", "A", "--server", "h"), "is not a federation's name"),
        (("city", "--hospitals", "A.1", "--server", "h"), "is not a hospital's name"),
        (("city", "--hospitals", "A,global", "--server", "h"), "'global' cannot name a hospital"),
        (("city", "--hospitals", "A,operator", "--server", "h"), "'operator' cannot name a hospital"),
        (("city", "--hospitals", "A,h", "--server", "h"), "'h' cannot name a hospital"),
        (("city", "--hospitals", "A,a", "--server", "h"), "differ only in upper and lower case"),
        (("city", "--hospitals", ",", "--server", "h"), "names no hospital"),
        (("city", "--hospitals", "A", "--server", "bad_host!"), "NVFlare makes no kits of this"),
    ],
)
def test_what_cannot_be_a_federation_is_said_in_a_sentence(
    home: Path, arguments: tuple[str, ...], sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["federation", "create", *arguments]) == BAD_INPUT

    assert sentence in capfd.readouterr().err
    assert not (home / "federations" / "city").exists()


def test_a_folder_that_is_no_kit_is_refused(home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["hospital", "start", str(tmp_path), "--data", str(tmp_path)]) == BAD_INPUT

    assert "is no hospital's kit" in capfd.readouterr().err
