"""Files of runs, settings, kits and messages made to do harm: each is refused in words, and nothing elsewhere is touched."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from benchmarks.fuzz_bytes import framed
from engine import toml
from engine.benchmark import saved
from engine.benchmark.results import Safety, SafetyFigure
from engine.data import store
from engine.data.pairs import folder_of
from engine.errors import DataError, FederationError, FedMedError, ModelError, ProtocolError, RunError, SettingsError
from engine.federated.checkpoint import RunFolder, adapter_folder
from engine.federated.flare import wire
from engine.federated.flare.kits import hospital_of, read_federation
from engine.federated.flare.policy import read_policy
from engine.federated.spool import spooled
from engine.manifest import Manifest, read_manifest
from engine.model.adapters import from_bytes
from engine.protocol import HospitalInfo, JobFinished, Progress, Resources, Stamped, decode_event, encode_event
from engine.scheduler import Scheduler
from engine.settings import DEMO, load_config
from fedmed_tui import runs
from fedmed_tui.history import Answered, History
from tests.benchmark.samples import results

ELSEWHERE = ["", ".", "..", "../x", "/etc", "a/b", "a\\b", "x\0", "x\n", "..\u2215x", "A\u202e", "\x1b[2J", "x" * 41, "-x", ".x"]


TOML = {
    "nested deeply": "a = " + "[" * 5000,
    "a number of thousands of digits": "seed = " + "9" * 5000,
    "a key of thousands of parts": ".".join("a" * 20_000) + " = 1",
    "a table of thousands of parts": "[" + " . ".join(["'a'"] * 5_000) + "]",
    "larger than settings are": "# " + "x" * toml.MAX_BYTES,
}


@pytest.mark.parametrize("text", TOML.values(), ids=TOML)
def test_toml_beyond_all_sense_is_refused(tmp_path: Path, text: str) -> None:
    for path, read in (
        (tmp_path / "my.toml", load_config),
        (tmp_path / "local" / "policy.toml", lambda path: read_policy(path.parents[1])),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

        with pytest.raises(SettingsError):
            read(path)


UNKNOWN_TYPE = '{"a": {"dtype": "F8_E8M0", "shape": [1], "data_offsets": [0, 1]}}'
NO_SHAPE = '{"a": {"dtype": "F32", "shape": [0, 4611686018427387904, 9], "data_offsets": [0, 0]}}'


@pytest.mark.parametrize("header", [UNKNOWN_TYPE, NO_SHAPE])
def test_tensors_that_the_library_chokes_on_are_refused(header: str) -> None:
    body = b"\0" if "F8" in header else b""

    with pytest.raises(ModelError, match="damaged or no safetensors"):
        from_bytes(framed(header.encode(), body), where="test")


def test_a_hospital_whose_message_no_event_could_repeat_is_not_heard() -> None:
    info = {"name": "A", "train": 1, "validation": 1, "test": 1}
    joined = {"type": "Joined", "info": info, "digest": "\ud800", "quantization": "", "tokenizer": "", "wire": 2}
    header = json.dumps({"__metadata__": {"message": json.dumps(joined)}}).encode()

    with pytest.raises(ProtocolError, match="not a message"):
        wire.unpack(framed(header, b""), where="A")


@pytest.mark.parametrize("train", [-1, 10**400])
def test_a_hospital_with_an_impossible_number_of_pairs_does_not_join(train: int) -> None:
    info = HospitalInfo(name="A", train=train, validation=1, test=1)

    with pytest.raises(ProtocolError, match="not a message"):
        wire.unpack(wire.pack(wire.Joined(info=info, digest="", quantization="", tokenizer="", wire=2)), where="A")


def test_a_number_that_no_arithmetic_can_take_is_no_event() -> None:
    line = encode_event(Stamped(seq=1, time=1.0, event=Resources(memory_bytes=10**400)))

    with pytest.raises(ProtocolError, match="hundreds of digits"):
        decode_event(line)


def test_a_long_number_in_a_text_is_text() -> None:
    said = Stamped(seq=1, time=1.0, event=Progress(job="1", what="7" * 400, done=0, total=0))

    assert decode_event(encode_event(said)) == said


FILES: dict[str, tuple[str, Callable[[Path], object], type[FedMedError]]] = {
    "manifest of a run": ("r/manifest.json", lambda home: read_manifest(home / "r"), RunError),
    "manifest of a partition": ("p/manifest.json", lambda home: store.read_manifest(home / "p"), DataError),
    "saved results": ("results.json", lambda home: saved.load(home / "results.json"), RunError),
    "a federation": ("federations/f/federation.json", lambda home: read_federation("f"), FederationError),
    "a kit": ("kit/hospital.json", lambda home: hospital_of(home / "kit"), FederationError),
}


@pytest.mark.parametrize("spoilt", [b'{"x": ' + b"[" * 100_000, b'{"schema": 1, "name": "\xff"}'], ids=["deep", "no UTF-8"])
@pytest.mark.parametrize("kind", FILES)
def test_json_that_no_decoder_takes_is_refused(home: Path, kind: str, spoilt: bytes) -> None:
    name, read, error = FILES[kind]
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_bytes(spoilt)

    with pytest.raises(error):
        read(home)


@pytest.mark.parametrize("kind", FILES)
def test_a_pipe_that_never_ends_is_not_read(home: Path, kind: str) -> None:
    name, read, error = FILES[kind]
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(home / name)

    with pytest.raises(error):
        read(home)


@pytest.mark.parametrize("hospital", ELSEWHERE)
def test_no_name_of_a_hospital_leads_out_of_a_run_or_a_kit(tmp_path: Path, hospital: str) -> None:
    (tmp_path / "hospital.json").write_text(json.dumps({"hospital": hospital}))

    for use in (folder_of, lambda name: adapter_folder(tmp_path, name), lambda name: spooled(tmp_path, name)):
        with pytest.raises(DataError, match="not a hospital's name"):
            use(hospital)
    with pytest.raises(FederationError, match="no hospital's kit"):
        hospital_of(tmp_path)


def test_a_federation_is_named_by_its_folder_and_its_hospitals_stay_in_it(home: Path) -> None:
    path = home / "federations" / "f" / "federation.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"name": "../x", "server": "s", "port": 1, "hospitals": ["A"]}))

    assert read_federation("f").folder == path.parent
    path.write_text(path.read_text().replace('"A"', '"../../A"'))
    with pytest.raises(FederationError, match="damaged"):
        read_federation("f")


# --- runs ----------------------------------------------------------------------------------------------------------------------


def _run(home: Path, **changes: object) -> Path:
    folder = home / "output-models" / "r"
    folder.mkdir(parents=True)
    manifest = msgspec.to_builtins(Manifest(run="r", config=DEMO, hospitals=("A",), created=1.0, rounds=3))
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))
    return folder


def test_a_run_is_named_by_its_folder_whatever_its_manifest_says(home: Path) -> None:
    _run(home, run="../../elsewhere")

    assert [one.run for one in runs.list_runs()] == ["r"]


def test_a_run_begun_at_no_time_of_any_calendar_is_left_out(home: Path) -> None:
    _run(home, created=1e300)

    assert runs.list_runs() == []
    assert "created" in runs.unreadable_runs()[0].message


@pytest.mark.parametrize("name", ["events.jsonl", "global", "rounds/001", ".x.partial"])
def test_a_run_with_a_link_in_it_is_not_worked_on(home: Path, name: str) -> None:
    folder, outside = _run(home), home / "outside"
    outside.mkdir()
    (outside / "note").write_text("mine, without a last newline")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(outside / "note" if name == "events.jsonl" else outside)

    with pytest.raises(RunError, match="holds no links"):
        RunFolder("r")

    assert (outside / "note").read_text() == "mine, without a last newline"


def test_a_run_whose_folder_lies_on_another_disk_is_worked_on(home: Path) -> None:
    disk = home / "disk"
    _run(home).rename(disk)
    (home / "output-models" / "r").symlink_to(disk)

    with RunFolder("r") as folder:
        assert (folder.path / "manifest.json").exists()


# --- results and the chat's history --------------------------------------------------------------------------------------------


def test_results_that_no_report_can_be_made_of_are_damaged(tmp_path: Path) -> None:
    of_nothing = SafetyFigure(name="none", sentences=0, noticed=0, dangerous=True)
    (tmp_path / saved.FILE).write_bytes(saved.to_json(results(safety=Safety(figures=(of_nothing,)))))

    with pytest.raises(RunError, match="contradict each other"):
        saved.load(tmp_path)


@pytest.mark.parametrize("value", [b"bytes", 5, None])
def test_a_history_that_holds_no_text_is_refused(tmp_path: Path, value: object) -> None:
    history = History(tmp_path / "history.sqlite3")
    history.add(Answered(run="r", adapter="A", asked=1.0, question="Why?", answer="So."))
    with closing(sqlite3.connect(history.path)) as database, database:
        database.execute("UPDATE answered SET question = ?", (value,))

    with pytest.raises(RunError, match="chat history cannot be used"):
        history.questions()


# --- the engine ----------------------------------------------------------------------------------------------------------------


def test_an_event_that_cannot_be_written_fails_its_job_and_not_the_engine() -> None:
    written, failed = [], []

    def emit(event: object) -> None:
        written.append(encode_event(Stamped(seq=1, time=1.0, event=event)))  # type: ignore[arg-type]

    scheduler = Scheduler(emit, lambda job, error: failed.append((job, type(error))))
    scheduler.add("1", iter([Progress(job="1", what="\ud800", done=0, total=0)]), "interactive")  # type: ignore[arg-type]

    scheduler.step()

    assert failed == [("1", UnicodeEncodeError)]
    assert decode_event(written[-1]).event == JobFinished(job="1", outcome="failed")
