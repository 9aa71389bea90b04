"""Readers of runs and what belongs to them: protocol lines, settings, records, checkpoints, adapters, results, the history."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import astuple
from pathlib import Path
from unittest.mock import patch

import msgspec

from benchmarks.fuzz_bytes import Reader, framed, in_file, joined, parted, unframed
from benchmarks.fuzz_federation import ADAPTER
from engine.benchmark import saved
from engine.benchmark.compare import compare
from engine.benchmark.record import RunRecord
from engine.federated.checkpoint import RoundState, read_round, settings_hash
from engine.federated.event_log import EventLog
from engine.jobs.reach import known
from engine.jobs.served import served
from engine.manifest import Manifest, read_manifest
from engine.model.adapters import from_bytes, load_adapter, to_bytes
from engine.model.folder import weights_in
from engine.protocol import (
    Aggregated,
    Chat,
    ChatTurn,
    Evaluated,
    HospitalInfo,
    HospitalLost,
    HospitalWeight,
    ModelLoaded,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunStarted,
    Stamped,
    StartRun,
    StepDone,
    TrafficCounted,
    TrainingStarted,
    UpdateReceived,
    decode_command,
    decode_event,
    encode_command,
    encode_event,
)
from engine.settings import DEMO, load_config
from fedmed_tui import runs
from fedmed_tui.cli.output import Sentences
from fedmed_tui.export import export_snapshot
from fedmed_tui.history import Answered, History, as_markdown
from fedmed_tui.pace import fraction, seconds_left
from tests.benchmark.samples import results

CONFIG = {"r": 2, "lora_alpha": 4.0, "target_modules": ["q_proj", "v_proj"], "peft_type": "LORA"}
TOML = b'preset = "demo"\nseed = 7\n[training]\nrounds = 5\nlearning_rate = 1e-3\n[lora]\nhospital_ranks = {A = 2}\n'
ASKED = Answered(run="r", adapter="A", asked=1.0, question="Why?", answer="So.", findings="One\nTwo", tokens=3, seconds=0.5)
MODEL = ("config.json", "model.safetensors.index.json")


def run_readers() -> list[Reader]:
    """Every one."""
    tensors, config = to_bytes(ADAPTER), json.dumps(CONFIG).encode()
    chat = Chat(job="1", adapter="A", turns=(ChatTurn(role="user", text="Why?"),))
    start = StartRun(job="1", run="r", config=DEMO)
    return [
        Reader("commands", (encode_command(start), encode_command(chat)), _line(decode_command), 4),
        Reader("events", tuple(_events().splitlines()), _line(_told), 4),
        Reader("settings TOML", (TOML,), in_file("settings.toml", load_config), 2),
        Reader("manifest.json", (msgspec.json.encode(_manifest()),), _listed, 2),
        Reader("events.jsonl", (_events(),), _replayed, 3),
        Reader("checkpoint", (joined(_state(), tensors, tensors),), _checkpoint, 2),
        Reader("checkpoint's header", (joined(*unframed(tensors)),), _tensors, 2),
        Reader("adapter folder", (joined(config, tensors),), lambda data, folder: _adapter(*parted(data, 2), folder), 2),
        Reader("adapter's header", (joined(config, *unframed(tensors)),), _framed_adapter, 2),
        Reader("safetensors", (tensors,), lambda data, folder: from_bytes(data, where="bytes"), 2),
        Reader("model folder", (joined(b'{"model_type": "llama"}', b'{"weight_map": {"a": "model.safetensors"}}'),), _model),
        Reader("benchmark results", (saved.to_json(results()),), in_file("benchmark_results.json", _compared), 2),
        Reader("chat history", (_history(),), in_file("history.sqlite3", _recalled), 0.5),
        Reader("chat history's rows", (json.dumps(astuple(ASKED)).encode(),), _rows, 0.5),
    ]


# --- how they are read ---------------------------------------------------------------------------------------------------------


def _line(decode: Callable[[bytes], object]) -> Callable[[bytes, Path], object]:
    return lambda data, folder: decode(data)


def _told(line: bytes) -> None:
    stamped = decode_event(line)
    Sentences().of(stamped)
    encode_event(stamped)


def _listed(data: bytes, folder: Path) -> None:
    with patch.dict(os.environ, FEDMED_HOME=str(folder)):
        run = folder / "output-models" / "r"
        run.mkdir(parents=True, exist_ok=True)
        (run / "manifest.json").write_bytes(data)
        for manifest in runs.list_runs():
            runs.adapters(manifest.run)
        read_manifest(run)


def _replayed(data: bytes, folder: Path) -> None:
    """As a screen, `fedmed-tui replay` and `export`, a benchmark and a resumed run read it."""
    with patch.dict(os.environ, FEDMED_HOME=str(folder)):
        run = folder / "output-models" / "r"
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir(parents=True)
        (run / "events.jsonl").write_bytes(data)
        runs.Reader("r", 0).fresh()
        state = runs.load_state("r")
        state.macro_series(), seconds_left(state, 0.0), fraction(state, 0.0)
        RunRecord.read(run / "events.jsonl")
        known(run)
        EventLog(run / "events.jsonl").close()
        export_snapshot(state, folder / "output-models" / "r")


def _checkpoint(data: bytes, folder: Path) -> None:
    """Whatever the tensors are, their checksums are right."""
    state, tensors, carried = parted(data, 3)
    for mark, part in ((b"DIGEST", tensors), (b"CARRIED", carried)):
        state = state.replace(mark, hashlib.sha256(part).hexdigest().encode())
    (folder / "state.json").write_bytes(state)
    (folder / "global.safetensors").write_bytes(tensors)
    (folder / "carried.safetensors").write_bytes(carried)
    served(_manifest(), read_round(folder).adapter, folder)


def _tensors(data: bytes, folder: Path) -> None:
    served(_manifest(), from_bytes(framed(*parted(data, 2)), where="bytes"), folder)


def _framed_adapter(data: bytes, folder: Path) -> None:
    config, header, body = parted(data, 3)
    _adapter(config, framed(header, body), folder)


def _adapter(config: bytes, tensors: bytes, folder: Path) -> None:
    (folder / "adapter_config.json").write_bytes(config)
    (folder / "adapter_model.safetensors").write_bytes(tensors)
    load_adapter(folder)


def _model(data: bytes, folder: Path) -> None:
    for name, part in zip(MODEL, parted(data, len(MODEL)), strict=True):
        (folder / name).write_bytes(part)
    (folder / "model.safetensors").touch()
    weights_in(folder)


def _compared(path: Path) -> None:
    found = saved.load(path)
    for one in compare(results(), found):
        assert one.verdict
    saved.to_json(found)


def _recalled(path: Path) -> None:
    history = History(path)
    history.questions()
    as_markdown(history.search("why"))
    as_markdown(history.conversation("r", "A"))


def _rows(data: bytes, folder: Path) -> None:
    """Any values in a sound database: SQLite's columns take all of them."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(values, list) and all(value is None or isinstance(value, str | float | int) for value in values):
        path = folder / "history.sqlite3"
        path.unlink(missing_ok=True)
        History(path).add(ASKED)
        with closing(sqlite3.connect(path)) as database, database:
            try:
                database.execute(f"INSERT INTO answered VALUES ({', '.join('?' * len(values))})", values)
            except (sqlite3.Error, OverflowError, UnicodeEncodeError):
                return
        _recalled(path)


# --- good ones -----------------------------------------------------------------------------------------------------------------


def _manifest() -> Manifest:
    lora = msgspec.structs.replace(DEMO.lora, rank=2)
    return Manifest(run="r", config=msgspec.structs.replace(DEMO, lora=lora), hospitals=("A", "B"), created=1.0, rounds=3)


def _state() -> bytes:
    return msgspec.json.encode(
        RoundState(
            round=1,
            sha256="DIGEST",
            settings_hash=settings_hash(DEMO),
            settings=msgspec.to_builtins(DEMO),
            finished=RoundFinished(round=1, rounds=2, before=2.0, after=1.0, seconds=3.0),
            seconds=1.0,
            weights={"A": 0.5, "B": 0.5},
            losses={"A": 2.0},
            carried_sha256="CARRIED",
        )
    )


def _events() -> bytes:
    hospitals = tuple(HospitalInfo(name=name, train=9, validation=3, test=3) for name in "AB")
    loaded = ModelLoaded(
        name="m", source="bundled", digest="d", quantization="q", device="cpu", threads=1, parameters=9, trainable=4,
        base_bytes=36, adapter_bytes=16, seconds=1.0,
    )  # fmt: skip
    weight = HospitalWeight(hospital="A", pairs=9, sample_share=0.5, weight=0.5)
    returned = UpdateReceived(round=1, hospital="A", pairs=9, steps=2, loss=2.0, variance=0.1, bytes=16, tokens=9, seconds=1.0)
    lost = HospitalLost(round=1, hospital="B", during="training", kind="gone", reason="nothing came from it")
    events = (
        RunStarted(run="r", config=DEMO, hospitals=hospitals),
        loaded,
        RoundStarted(round=1, rounds=3),
        TrainingStarted(round=1, hospital="A", steps=2),
        StepDone(round=1, hospital="A", step=1, steps=2, loss=2.0, tokens=9, seconds=1.0),
        returned,
        lost,
        Aggregated(round=1, weighting="agent", combine="exact", weights=(weight,), reason="Kept sample weights."),
        Evaluated(round=1, hospital="A", stage="global", loss=2.0, pairs=3, tokens=9),
        TrafficCounted(round=1, rows=()),
        RoundFinished(round=1, rounds=3, before=2.0, after=1.0, seconds=3.0),
        RunFinished(run="r", outcome="done", completed=1, rounds=3, folder="f", seconds=3.0),
    )
    return b"".join(encode_event(Stamped(seq=n, time=1.0, event=event)) for n, event in enumerate(events, start=1))


def _history() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "history.sqlite3")
        History(path).add(ASKED)
        return path.read_bytes()
