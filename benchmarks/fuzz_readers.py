"""Everything of this project that reads bytes from outside, each with good bytes to start from, and how to spoil them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from engine.benchmark.record import RunRecord
from engine.data.importing import read_pairs
from engine.data.partition import describe
from engine.federated.checkpoint import RoundState, read_round, settings_hash
from engine.federated.event_log import EventLog
from engine.manifest import Manifest, read_manifest
from engine.model.adapters import from_bytes, load_adapter, to_bytes
from engine.protocol import (
    Chat,
    ChatTurn,
    Evaluated,
    HospitalInfo,
    RoundFinished,
    RoundStarted,
    RunStarted,
    SourceOptions,
    Stamped,
    StartRun,
    StepDone,
    decode_command,
    decode_event,
    encode_command,
    encode_event,
)
from engine.settings import DEMO, load_config
from fedmed_tui.pace import fraction, seconds_left
from fedmed_tui.state import RunState

Edit = tuple[str, float, float, bytes]
"""What to do, where (0 to 1), with how much (0 to 1) or what."""
TOKENS = tuple(
    b'null|true|-1|0|1e999|NaN|99999999999999999999|""|[]|{}|"\\ud800"|\xff\xfe|\x00|\n|\r|"|\'|,|;|\t|{|}|[[[[|../../x|'
    b"%s|\x1b]0;x\x07|<!ENTITY a 'b'>|&a;|\xe2\x80\xae|1970-01-01|0x41|PAR1|PK\x03\x04|\x1f\x8b".split(b"|")
)
KINDS = ("flip", "insert", "delete", "repeat", "cut", "number")
ADAPTER = {
    f"base_model.model.model.layers.0.self_attn.{module}.lora_{factor}.weight": torch.ones((2, 3) if factor == "A" else (3, 2))
    for module in ("q_proj", "v_proj")
    for factor in "AB"
}
ADAPTER_CONFIG = {"r": 2, "lora_alpha": 4.0, "target_modules": ["q_proj", "v_proj"], "peft_type": "LORA"}
RECORDS = [{"question": f"What is ailment {at}?", "answer": "It passes with rest.", "topic": f"t{at}"} for at in range(4)]
SPLIT = [record | {"split": split} for record, split in zip(RECORDS, ("train", "train", "validation", "test"), strict=True)]
XML = b"""<?xml version="1.0"?><Document id="1" source="GARD" url="u"><Focus>Gout</Focus><QAPairs><QAPair pid="1">
<Question qid="1-1" qtype="information">What is gout?</Question>
<Answer>A disease in which crystals gather in the joints and hurt.</Answer></QAPair></QAPairs></Document>"""


@dataclass(frozen=True)
class Reader:
    """One reader: good bytes, and what reads them from a folder of its own."""

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes, Path], object]
    cost: float = 1.0
    """Share of the mutations it gets."""


def spoiled(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The bytes after some edits."""
    out = bytearray(data)
    for kind, where, amount, token in edits:
        at, size = int(where * len(out)), 1 + int(amount * 16)
        match kind:
            case "flip" if out:
                out[min(at, len(out) - 1)] ^= 1 << int(amount * 7)
            case "insert":
                out[at:at] = token
            case "delete":
                del out[at : at + size]
            case "repeat":
                out[at:at] = out[at : at + size * 8] * size
            case "cut":
                del out[at:]
            case "number":
                digit = next((n for n in range(at, len(out)) if 48 <= out[n] <= 57), None)
                if digit is not None:
                    out[digit : digit + 1] = token
    return bytes(out)


def drawn_edits(draw: random.Random) -> list[Edit]:
    """A few edits."""
    return [
        (draw.choice(KINDS), draw.random(), draw.random(), draw.choice(TOKENS)) for _ in range(draw.choice((1, 1, 1, 2, 3, 6)))
    ]


# --- readers -------------------------------------------------------------------------------------------------------------------


def _file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def write_and_read(data: bytes, folder: Path) -> object:
        (folder / name).write_bytes(data)
        return read(folder / name)

    return write_and_read


def _import(path: Path) -> None:
    for _ in read_pairs("job", str(path), SourceOptions(), hospital_field="", by_hospital=False):
        pass


def _describe(path: Path) -> None:
    list(describe("job", path.parent, 2))


def _replay(path: Path) -> None:
    """As `fedmed-tui replay`, a benchmark and a resume read it."""
    RunRecord.read(path)
    state = RunState()
    for line in path.read_bytes().split(b"\n")[:-1]:
        state.apply(decode_event(line))
    state.macro_series(), seconds_left(state, 0.0), fraction(state, 0.0)
    EventLog(path).close()


def _checkpoint(data: bytes, folder: Path) -> object:
    """The first half of the bytes is for state.json; what is left, with a fitting checksum, for the tensors."""
    state, _, tensors = data.partition(b"\x00SPLIT\x00")
    digest = hashlib.sha256(tensors).hexdigest().encode()
    (folder / "state.json").write_bytes(state.replace(b"DIGEST", digest))
    (folder / "global.safetensors").write_bytes(tensors)
    return read_round(folder)


def _adapter(data: bytes, folder: Path) -> object:
    config, _, tensors = data.partition(b"\x00SPLIT\x00")
    (folder / "adapter_config.json").write_bytes(config)
    (folder / "adapter_model.safetensors").write_bytes(tensors)
    return load_adapter(folder)


def _both(first: bytes, second: bytes) -> bytes:
    return first + b"\x00SPLIT\x00" + second


def _state() -> bytes:
    finished = RoundFinished(round=1, rounds=2, before=2.0, after=1.0, seconds=3.0)
    return msgspec.json.encode(
        RoundState(
            round=1,
            sha256="DIGEST",
            settings_hash=settings_hash(DEMO),
            settings=msgspec.to_builtins(DEMO),
            finished=finished,
            seconds=1.0,
            weights={"A": 0.5, "B": 0.5},
            losses={"A": 2.0},
        )
    )


def _events() -> bytes:
    hospitals = tuple(HospitalInfo(name=name, train=9, validation=3, test=3) for name in "AB")
    step = StepDone(round=1, hospital="A", step=1, steps=2, loss=2.0, tokens=9, seconds=1.0)
    events = (
        RunStarted(run="r", config=DEMO, hospitals=hospitals),
        RoundStarted(round=1, rounds=3),
        step,
        Evaluated(round=1, hospital="A", stage="global", loss=2.0, pairs=3, tokens=9),
        RoundFinished(round=1, rounds=3, before=2.0, after=1.0, seconds=3.0),
    )
    return b"".join(encode_event(Stamped(seq=n, time=1.0, event=event)) for n, event in enumerate(events, start=1))


def _csv(delimiter: str) -> bytes:
    rows = [list(RECORDS[0]), *([*record.values()] for record in RECORDS)]
    return "\n".join(delimiter.join(row) for row in rows).encode() + b"\n"


def _parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(RECORDS), buffer)
    return buffer.getvalue()


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("MedQuAD/a.xml", XML)
    return buffer.getvalue()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("MedQuAD/a.xml")
        entry.size = len(XML)
        archive.addfile(entry, io.BytesIO(XML))
    return buffer.getvalue()


def readers() -> list[Reader]:
    """Every one."""
    jsonl = b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS)
    split = b"".join(json.dumps(record).encode() + b"\n" for record in SPLIT)
    chat = Chat(job="1", adapter="A", turns=(ChatTurn(role="user", text="Why?"),))
    manifest = Manifest(run="r", config=DEMO, hospitals=("A", "B"), created=1.0, rounds=3)
    toml = b'preset = "demo"\nseed = 7\n[training]\nrounds = 5\nlearning_rate = 1e-3\n[lora]\nhospital_ranks = {A = 2}\n'
    tensors = to_bytes(ADAPTER)
    return [
        Reader(
            "commands", (encode_command(StartRun(job="1", run="r", config=DEMO)), encode_command(chat)), _line(decode_command), 4
        ),
        Reader("events", tuple(_events().splitlines()), _line(decode_event), 4),
        Reader("settings TOML", (toml,), _file("settings.toml", load_config), 2),
        Reader(
            "manifest.json", (msgspec.json.encode(manifest),), _file("manifest.json", lambda path: read_manifest(path.parent)), 2
        ),
        Reader("events.jsonl", (_events(),), _file("events.jsonl", _replay), 2),
        Reader("checkpoint", (_both(_state(), tensors),), _checkpoint, 2),
        Reader("adapter folder", (_both(json.dumps(ADAPTER_CONFIG).encode(), tensors),), _adapter, 2),
        Reader("safetensors", (tensors,), lambda data, folder: from_bytes(data, where="bytes"), 2),
        Reader("import JSON lines", (jsonl,), _file("pairs.jsonl", _import)),
        Reader("import JSON array", (json.dumps(RECORDS).encode(),), _file("pairs.json", _import)),
        Reader("import CSV", (_csv(","), _csv(";")), _file("pairs.csv", _import)),
        Reader("import TSV", (_csv("\t"),), _file("pairs.tsv", _import)),
        Reader("import gzip", (gzip.compress(jsonl), gzip.compress(_csv(","))), _file("pairs.gz", _import)),
        Reader("import Parquet", (_parquet(),), _file("pairs.parquet", _import)),
        Reader("import MedQuAD zip", (_zip(),), _file("medquad.zip", _import)),
        Reader("import MedQuAD tar", (_tar(),), _file("medquad.tar.gz", _import)),
        Reader("partition", (split,), _file("hospital_A.jsonl", _describe)),
    ]


def _line(decode: Callable[[bytes], object]) -> Callable[[bytes, Path], object]:
    return lambda data, folder: decode(data)
