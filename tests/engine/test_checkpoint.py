"""A run folder survives torn lines and damaged rounds, and belongs to one engine at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from engine.errors import RunError
from engine.federated.checkpoint import RoundState, RunFolder
from engine.federated.event_log import EventLog
from engine.files import write_atomically
from engine.model.adapters import Adapter, to_bytes
from engine.protocol import RoundFinished, RoundStarted, decode_event


def adapter(value: float) -> dict[str, torch.Tensor]:
    return {"lora_A": torch.full((2, 3), float(value))}


def save(folder: RunFolder, number: int, carried: Mapping[str, Adapter] | None = None) -> None:
    finished = RoundFinished(round=number, rounds=9, before=2.0, after=1.0, seconds=3.0)
    digest = hashlib.sha256(to_bytes(adapter(number))).hexdigest()
    state = RoundState(round=number, sha256=digest, settings_hash="s", settings={}, finished=finished, seconds=3.0, weights={})
    folder.save_round(adapter(number), state, carried)


@pytest.fixture
def folder(home: Path) -> RunFolder:
    return RunFolder("run")


def test_the_newest_round_is_the_one_to_go_on_from(folder: RunFolder) -> None:
    save(folder, 1)
    save(folder, 2)

    checkpoint, complaints = folder.newest_round()

    assert checkpoint is not None and checkpoint.state.round == 2
    assert torch.equal(checkpoint.adapter["lora_A"], adapter(2)["lora_A"])
    assert complaints == []


def test_rounds_are_ordered_by_number(folder: RunFolder) -> None:
    for number in (999, 1000):
        save(folder, number)

    checkpoint, _ = folder.newest_round()

    assert checkpoint is not None and checkpoint.state.round == 1000


@pytest.mark.parametrize("damage", ["flip a bit", "cut short", "no state", "nothing carried"])
def test_a_damaged_round_is_set_aside_and_the_one_before_is_used(folder: RunFolder, damage: str) -> None:
    save(folder, 1)
    save(folder, 2, {"m": adapter(3)})
    tensors, state = folder.path / "rounds/002/global.safetensors", folder.path / "rounds/002/state.json"
    data = tensors.read_bytes()
    match damage:
        case "flip a bit":
            tensors.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "cut short":
            tensors.write_bytes(data[: len(data) // 2])
        case "nothing carried":
            (folder.path / "rounds/002/carried.safetensors").write_bytes(b"")
        case _:
            state.unlink()

    checkpoint, complaints = folder.newest_round()

    assert checkpoint is not None and checkpoint.state.round == 1
    assert [(one.round, one.name) for one in complaints] == [(2, "002.damaged-1")]
    assert list((folder.path / "rounds").glob("002.damaged-*"))


def test_half_written_rounds_do_not_count(folder: RunFolder) -> None:
    save(folder, 1)
    (folder.path / "rounds" / ".002.partial").mkdir()

    checkpoint, complaints = folder.newest_round()

    assert checkpoint is not None and checkpoint.state.round == 1
    assert complaints == []


def test_a_second_engine_is_refused(folder: RunFolder) -> None:
    with pytest.raises(RunError, match="another engine is working on this run"):
        RunFolder("run")


@pytest.mark.parametrize("name", ["../outside", "a/b", "", ".", ".."])
def test_a_run_cannot_leave_the_runs_folder(home: Path, name: str) -> None:
    with pytest.raises(RunError, match="not a run's name"):
        RunFolder(name)


def test_a_torn_last_line_is_cut_off_and_numbering_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append(RoundStarted(round=1, rounds=2))
    log.append(RoundFinished(round=1, rounds=2, before=2.0, after=1.0, seconds=1.0))
    log.close()
    with path.open("ab") as file:
        file.write(b'{"v":1,"seq":3,"ti')

    again = EventLog(path)
    finished_round = again.finished_round
    again.append(RoundStarted(round=2, rounds=2))
    again.close()

    assert finished_round == 1
    assert [decode_event(line).seq for line in path.read_bytes().splitlines()] == [1, 2, 3]


def test_an_atomic_write_that_fails_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.json"
    write_atomically(path, b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(RunError, match="No space left on device"):
        write_atomically(path, b"new")

    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]
