"""Disks fill up, folders vanish, clocks jump, versions change: a run says so in words, and goes on when it can."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine import locations
from engine.errors import ModelError, RunError
from engine.federated.checkpoint import RunFolder, read_round
from engine.federated.collect import Paused
from engine.federated.event_log import EventLog
from engine.federated.hospital import Hospital
from engine.federated.spool import Spool
from engine.federated.update import Assignment
from engine.jobs.context import Engine
from engine.jobs.dispatch import job_for
from engine.jobs.model import ensure_bank
from engine.jobs.reach import known
from engine.jobs.run import resume_run, start_run
from engine.model.adapters import AdapterBank, to_bytes
from engine.protocol import (
    AnyEvent,
    ModelLoaded,
    Progress,
    ResumeRun,
    RoundFinished,
    RoundStarted,
    RunFinished,
    StartRun,
)
from engine.scheduler import Job
from engine.settings import ModelSettings, RunConfig, load_config
from fedmed_tui import runs
from fedmed_tui.pace import seconds_left
from tests.tiny_model import shift_weights


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The model is loaded once."""
    return Engine(attached=False)


@pytest.fixture
def config(tiny_model: Path) -> RunConfig:
    small = {
        "model.source": str(tiny_model),
        "model.quantization": "none",
        "lora.rank": 2,
        "training.rounds": 2,
        "training.local_steps": 1,
        "training.warmup_fraction": 0.0,
        "training.max_tokens": 48,
        "data.max_pairs": 4,
        "data.validation_pairs": 2,
        "aggregation.weighting": "samples",
    }
    return load_config(overrides=small)


def start(engine: Engine, config: RunConfig) -> Job:
    return start_run(engine, StartRun(job="1", run="r", config=config))


def resume(engine: Engine, **changes: Any) -> Job:
    return resume_run(engine, ResumeRun(job="2", run="r", **changes))


def through_round(job: Job, number: int) -> None:
    """Step the job until this round is on disk, and drop it as a kill would."""
    next(event for event in job if isinstance(event, RoundFinished) and event.round == number)
    job.close()


def finished(events: list[AnyEvent | None]) -> RunFinished:
    return next(event for event in events if isinstance(event, RunFinished))


def test_no_other_job_loads_a_model_once_a_run_begins_to_load_its_own(home: Path, config: RunConfig) -> None:
    engine = Engine(attached=False)
    job = start(engine, config)

    for reached in (Progress, ModelLoaded):
        next(event for event in job if isinstance(event, reached))
        with pytest.raises(ModelError, match=r"the run in progress \(r\)"):
            list(ensure_bank(engine, "chat", ModelSettings(source="bundled")))

    job.close()
    assert engine.holder == ""


# --- changes between two stretches of work ----------------------------------------------------------------------------------


def test_rounds_and_device_may_change(home: Path, engine: Engine, config: RunConfig) -> None:
    list(start(engine, config))

    events = list(resume(engine, rounds=3, device="cpu"))

    assert (finished(events).outcome, finished(events).completed) == ("done", 3)
    assert runs.load_manifest("r").config.training.rounds == 3


def without_c(train: Callable[..., Any]) -> Callable[..., Any]:
    """Hospital C cannot train."""

    def at(hospital: Hospital, task: Assignment) -> Any:
        if hospital.name == "C":
            raise ValueError
        return (yield from train(hospital, task))

    return at


def test_a_paused_run_goes_on_with_a_smaller_quorum(
    home: Path, engine: Engine, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hospital, "train", without_c(Hospital.train))
    with pytest.raises(Paused, match="3 are needed"):
        list(start(engine, replace(config, federation=replace(config.federation, quorum=3))))

    events = list(resume(engine, quorum=2))

    assert (finished(events).outcome, finished(events).completed) == ("done", 2)
    assert runs.load_manifest("r").config.federation.quorum == 2


def test_a_run_that_paused_at_its_deadline_goes_on_with_a_later_one(home: Path, engine: Engine, config: RunConfig) -> None:
    with pytest.raises(Paused):
        list(start(engine, replace(config, federation=replace(config.federation, deadline_s=1e-9))))

    events = list(resume(engine, deadline_s=900.0))

    assert (finished(events).outcome, finished(events).completed) == ("done", 2)


@pytest.fixture
def begun(home: Path, config: RunConfig, tmp_path: Path) -> RunConfig:
    """The settings of a run after its first round, whose model and data are its own."""
    source = shutil.copytree(config.model.source, tmp_path / "model")
    data = shutil.copytree(locations.sample_folder(), tmp_path / "data")
    own = replace(
        config, model=replace(config.model, source=str(source)), data=replace(config.data, folder=str(data), hospitals=())
    )
    through_round(start(Engine(attached=False), own), 1)
    return own


def refused_resume() -> str:
    """Why a new process does not go on with the run."""
    with pytest.raises(RunError) as refused:
        list(resume(Engine(attached=False)))
    return refused.value.message


def test_another_base_model_is_refused(begun: RunConfig) -> None:
    shift_weights(Path(begun.model.source))

    assert "it was begun with base model" in refused_resume()


def test_another_precision_is_refused(begun: RunConfig) -> None:
    manifest = locations.run_folder("r") / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"quantization": "none"', '"quantization": "nf4"'))

    assert "it was begun with quantization 16-bit weights, fp32 compute, now it is NF4 4-bit" in refused_resume()


def test_other_hospitals_are_refused(begun: RunConfig) -> None:
    (Path(begun.data.folder) / "hospital_C.jsonl").unlink()

    assert "it was begun with hospitals A, B, C, now it is A, B" in refused_resume()


def test_every_changed_setting_is_named(home: Path, engine: Engine, config: RunConfig) -> None:
    through_round(start(engine, config), 1)
    manifest = locations.run_folder("r") / "manifest.json"
    text = manifest.read_text().replace('"learning_rate": 0.002', '"learning_rate": 0.5')
    manifest.write_text(text.replace('"weighting": "samples"', '"weighting": "equal"'))

    with pytest.raises(RunError) as refused:
        list(resume(engine))

    assert "aggregation.weighting was samples, is equal; training.learning_rate was 0.002, is 0.5" in refused.value.message


@pytest.mark.parametrize("file", ["manifest.json", "rounds/001/state.json"])
def test_a_run_of_an_older_version_is_refused_and_left_as_it_is(home: Path, engine: Engine, config: RunConfig, file: str) -> None:
    through_round(start(engine, config), 1)
    path = locations.run_folder("r") / file
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 0}))

    with pytest.raises(RunError, match="was written with schema 0") as refused:
        list(resume(engine))

    assert "version of fedmed-tui" in refused.value.hint
    assert path.exists()


def test_a_round_that_claims_another_number_is_damaged(home: Path, engine: Engine, config: RunConfig) -> None:
    through_round(start(engine, config), 1)
    rounds = locations.run_folder("r") / "rounds"
    shutil.copytree(rounds / "001", rounds / "002")

    with RunFolder("r") as folder:
        checkpoint, aside = folder.newest_round()

    assert checkpoint is not None and checkpoint.state.round == 1
    assert [(one.round, one.reason) for one in aside] == [(2, "it says that it is round 1")]


def test_a_checkpoint_says_which_version_wrote_it(home: Path, engine: Engine, config: RunConfig) -> None:
    through_round(start(engine, config), 1)

    state = json.loads((locations.run_folder("r") / "rounds/001/state.json").read_text())

    assert state["version"] and state["settings"]["seed"] == config.seed


@pytest.mark.parametrize("killed", ["before the round's event", "after it"])
def test_a_run_killed_after_its_last_checkpoint_is_closed_by_resuming_it(
    home: Path, engine: Engine, config: RunConfig, killed: str
) -> None:
    through_round(start(engine, config), 2)
    if killed == "before the round's event":
        cut_last_event(locations.run_folder("r") / "events.jsonl")

    again = list(job_for(engine, ResumeRun(job="2", run="r")))

    state = runs.load_state("r")
    assert (finished(again).outcome, finished(again).completed) == ("done", 2)
    assert (state.finished, state.completed, runs.load_manifest("r").status) == (finished(again), 2, "done")
    assert not any(isinstance(event, RoundStarted) for event in again)


def cut_last_event(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def test_a_run_that_ended_properly_is_not_resumed_without_more_rounds(home: Path, engine: Engine, config: RunConfig) -> None:
    list(start(engine, config))

    with pytest.raises(RunError, match="all its 2 rounds are done"):
        next(job_for(engine, ResumeRun(job="2", run="r")))


def test_fewer_rounds_than_are_done_are_refused(home: Path, engine: Engine, config: RunConfig) -> None:
    through_round(start(engine, config), 2)

    with pytest.raises(RunError, match="all its 1 rounds are done"):
        next(job_for(engine, ResumeRun(job="2", run="r", rounds=1)))


# --- the disk ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(home: Path) -> Iterator[Callable[[str], None]]:
    """The runs' folder on a disk of 200 KiB; call it to mount that anew, with other options."""
    folder = home / "output-models"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a small disk")
    yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True) and None
    subprocess.run(["umount", "-l", str(folder)], check=True)


WRITES: dict[str, tuple[type[Any], str]] = {
    "the record": (EventLog, "append"),
    "an update": (Spool, "keep"),
    "an adapter": (AdapterBank, "save"),
    "a checkpoint": (RunFolder, "save_round"),
    "the manifest": (RunFolder, "write_manifest"),
}
"""What is written when the disk is full, and where."""


@pytest.mark.parametrize("written", WRITES)
def test_a_full_disk_stops_the_run_in_words_and_it_goes_on_with_more_space(
    small_disk: Callable[[str], None], engine: Engine, config: RunConfig, written: str
) -> None:
    owner, name = WRITES[written]
    usual = getattr(owner, name)

    def with_a_full_disk(*args: Any) -> Any:
        fill_up(locations.runs_folder() / "filler")
        return usual(*args)

    events: list[AnyEvent | None] = []
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RunError, match="No space left on device") as refused:
        for event in start(engine, config):
            events.append(event)
            if isinstance(event, RoundFinished):
                patch.setattr(owner, name, with_a_full_disk)

    small_disk("size=10m")
    rest = list(resume(engine))

    assert "Free some space" in refused.value.hint
    assert (finished(events).outcome, finished(events).completed) == ("failed", 2 if written == "the manifest" else 1)
    assert_whole(engine, config, rest)


def assert_whole(engine: Engine, config: RunConfig, rest: list[AnyEvent | None]) -> None:
    """The run is done, as one that nothing stopped; nothing half-written is left."""
    folder = locations.run_folder("r")
    assert (finished(rest).outcome, runs.load_state("r").completed) == ("done", 2)
    assert not list(folder.rglob("*.partial"))
    list(start_run(engine, StartRun(job="1", run="whole", config=config)))
    adapter = "rounds/002/global.safetensors"
    assert (folder / adapter).read_bytes() == (locations.run_folder("whole") / adapter).read_bytes()


def fill_up(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 512):
                pass
        except OSError:
            return


def test_a_disk_without_a_free_inode_stops_the_run_in_words(
    small_disk: Callable[[str], None], engine: Engine, config: RunConfig
) -> None:
    with pytest.raises(RunError, match="No space left on device"):
        for event in start(engine, config):
            if isinstance(event, RoundFinished):
                disk = os.statvfs(locations.runs_folder())
                small_disk(f"size=10m,nr_inodes={disk.f_files - disk.f_ffree}")

    small_disk("nr_inodes=1000")
    assert_whole(engine, config, list(resume(engine)))


def test_a_run_on_a_read_only_disk_can_be_looked_at_and_says_why_it_does_not_go_on(
    small_disk: Callable[[str], None], engine: Engine, config: RunConfig
) -> None:
    small_disk("size=10m")
    through_round(start(engine, config), 1)
    small_disk("ro")

    assert [(manifest.run, manifest.completed, manifest.status) for manifest in runs.list_runs()] == [("r", 1, "interrupted")]
    with pytest.raises(RunError, match="cannot be written: Read-only file system"):
        list(resume(engine))
    small_disk("rw")
    assert_whole(engine, config, list(resume(engine)))


def test_a_run_in_a_linked_folder_is_one_like_any_other(home: Path, engine: Engine, config: RunConfig, tmp_path: Path) -> None:
    (home / "output-models").mkdir()
    (tmp_path / "elsewhere").mkdir()
    locations.run_folder("r").symlink_to(tmp_path / "elsewhere")

    through_round(start(engine, config), 1)

    assert_whole(engine, config, list(resume(engine)))


@pytest.mark.parametrize("way", ["emptied", "removed"])
def test_a_run_whose_record_was_lost_goes_on_from_its_checkpoint(home: Path, engine: Engine, config: RunConfig, way: str) -> None:
    through_round(start(engine, config), 1)
    record = locations.run_folder("r") / "events.jsonl"
    record.write_bytes(b"") if way == "emptied" else record.unlink()

    assert_whole(engine, config, list(resume(engine)))


def test_a_read_only_folder_is_told_in_words(home: Path) -> None:
    (home / "output-models").mkdir()
    (home / "output-models").chmod(0o555)

    assert "cannot be written: Permission denied" in as_nobody(lambda: RunFolder("r"))


def as_nobody(work: Callable[[], object]) -> str:
    """What goes wrong when somebody without root's rights does this."""
    if os.geteuid() != 0:
        with pytest.raises(RunError) as refused:
            work()
        return str(refused.value)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            work()
        except Exception as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as said:
        return said.read()


def test_a_record_whose_only_line_is_torn_names_no_hospitals(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'{"v":1,"seq":1,"time":1.0,"event":{"type":"RunSta')

    assert known(tmp_path) == {}


def test_a_run_whose_folder_vanishes_stops_and_leaves_no_headless_folder(home: Path, engine: Engine, config: RunConfig) -> None:
    job = start(engine, config)

    with pytest.raises(RunError, match="the run's folder is gone"):
        for event in job:
            if isinstance(event, RoundFinished):
                shutil.rmtree(locations.run_folder("r"))

    assert not locations.run_folder("r").exists()


def test_half_written_files_of_a_killed_engine_are_removed(home: Path, engine: Engine, config: RunConfig) -> None:
    through_round(start(engine, config), 1)
    folder = locations.run_folder("r")
    (folder / "global" / ".adapter_model.safetensors.x.partial").write_bytes(b"half")
    (folder / "rounds" / ".002.partial").mkdir()

    list(resume(engine))

    assert not list(folder.rglob("*.partial"))


# --- time and company -------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_back_changes_nothing_but_times(
    home: Path, engine: Engine, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    through_round(start(engine, config), 1)
    monkeypatch.setattr("time.time", lambda: 1_000.0)

    rest = list(resume(engine))

    state = runs.load_state("r")
    assert (finished(rest).outcome, state.completed) == ("done", 2)
    assert (seconds_left(state, now=1_000.0) or 0.0) >= 0
    assert read_round(locations.run_folder("r") / "rounds/002").state.seconds > 0


def test_a_run_is_running_only_while_an_engine_holds_it(home: Path, engine: Engine, config: RunConfig) -> None:
    job = start(engine, config)
    next(event for event in job if isinstance(event, RoundFinished))

    during = [manifest.status for manifest in runs.list_runs()]
    job.close()
    after = [manifest.status for manifest in runs.list_runs()]

    assert (during, after) == (["running"], ["interrupted"])


def test_looking_at_a_run_does_not_change_how_it_ends(home: Path, engine: Engine, config: RunConfig) -> None:
    through_round(start(engine, config), 1)

    with RunFolder("r"), pytest.raises(RunError, match="another engine is working on this run"):
        list(resume(engine))
    list(resume(engine))

    checkpoint = read_round(locations.run_folder("r") / "rounds/002")
    assert to_bytes(checkpoint.adapter) == (locations.run_folder("r") / "rounds/002/global.safetensors").read_bytes()
