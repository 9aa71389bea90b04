"""Readers of data: everything that can be imported, partitions, sketches, public sets."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.fuzz_bytes import Reader, in_file, joined, parted
from engine.benchmark.choice import mmlu, pubmedqa
from engine.data import sketch
from engine.data.overlap import match
from engine.data.partition import describe
from engine.data.reading import preview, read_pairs
from engine.data.sketch import Sketches
from engine.data.store import SCHEMA, Manifest
from engine.protocol import AnyEvent, PreviewSource, SourceOptions, Stamped, encode_event

RECORDS = [{"question": f"What is ailment {at}?", "answer": "It passes with rest.", "topic": f"t{at}"} for at in range(4)]
SPLITS = ("train", "train", "validation", "test")
SPLIT_RECORDS = [record | {"split": split} for record, split in zip(RECORDS, SPLITS, strict=True)]
XML = b"""<?xml version="1.0"?><Document id="1" source="GARD" url="u"><Focus>Gout</Focus><QAPairs><QAPair pid="1">
<Question qid="1-1" qtype="information">What is gout?</Question>
<Answer>A disease in which crystals gather in the joints and hurt.</Answer></QAPair></QAPairs></Document>"""
SAVED = ("state.json", "dataset_info.json", "data-00000-of-00001.arrow")
"""The files of a folder that the `datasets` library saves."""


def data_readers() -> list[Reader]:
    """Every one."""
    jsonl, split = _lines(RECORDS), _lines(SPLIT_RECORDS)
    return [
        Reader("import JSON lines", (jsonl,), in_file("pairs.jsonl", _import)),
        Reader("import JSON array", (json.dumps(RECORDS).encode(),), in_file("pairs.json", _import)),
        Reader("import CSV", (_csv(","), _csv(";")), in_file("pairs.csv", _import)),
        Reader("import TSV", (_csv("\t"),), in_file("pairs.tsv", _import)),
        Reader("import gzip", (gzip.compress(jsonl), gzip.compress(_csv(","))), in_file("pairs.gz", _import)),
        Reader("import Parquet", (_parquet(RECORDS, "zstd"), _parquet(RECORDS, "none")), in_file("pairs.parquet", _import)),
        Reader("import MedQuAD zip", (_zip(XML),), in_file("medquad.zip", _import)),
        Reader("import MedQuAD tar", (_tar(),), in_file("medquad.tar.gz", _import)),
        Reader("import MedQuAD XML", (XML,), lambda data, folder: in_file("medquad.zip", _import)(_zip(data), folder)),
        Reader("import saved data set", (_saved(),), _read_saved, 0.3),
        Reader("partition JSON lines", (split,), in_file("hospital_A.jsonl", lambda path: _describe(path.parent))),
        Reader(
            "partition Parquet",
            tuple(joined(_manifest(), _parquet(SPLIT_RECORDS, packed)) for packed in ("zstd", "none")),
            _read_partition,
        ),
        Reader("sketches", (_sketches("A"),), in_file("a.npz", _match), 0.5),
        Reader("sketches inside", (_inside(_sketches("A")),), _match_inside, 0.5),
        Reader("public sets", (_lines([_pubmedqa(), _mmlu()]),), _read_public),
    ]


# --- how they are read ---------------------------------------------------------------------------------------------------------


def _import(path: Path) -> None:
    """As the import screen does: a look at it, then all of it. What is said of it travels as events."""
    _stated(preview(PreviewSource(job="job", source=str(path), options=SourceOptions())))
    _stated(read_pairs("job", str(path), SourceOptions(), hospital_field="", by_hospital=False))


def _describe(folder: Path) -> None:
    _stated(describe("job", folder, 2))


def _stated(events: Iterable[AnyEvent | None]) -> None:
    for event in events:
        if event is not None:
            encode_event(Stamped(seq=1, time=0.0, event=event))


def _read_saved(data: bytes, folder: Path) -> None:
    (folder / "saved").mkdir(exist_ok=True)
    for name, part in zip(SAVED, parted(data, len(SAVED)), strict=True):
        (folder / "saved" / name).write_bytes(part)
    _import(folder / "saved")


def _read_partition(data: bytes, folder: Path) -> None:
    """The manifest holds the right digest of whatever the Parquet file is."""
    manifest, pairs = parted(data, 2)
    (folder / "hospital_A").mkdir(exist_ok=True)
    (folder / "hospital_A" / "pairs.parquet").write_bytes(pairs)
    text = manifest.replace(b"DIGEST", hashlib.sha256(pairs).hexdigest().encode())
    (folder / "hospital_A" / "manifest.json").write_bytes(text)
    _describe(folder)


def _match(path: Path) -> None:
    own, other = path.with_name("own.npz"), _sketches("B")
    own.write_bytes(other)
    for _ in match([sketch.load(path), sketch.load(own)], 0.8):
        pass


def _match_inside(data: bytes, folder: Path) -> object:
    return in_file("a.npz", _match)(_npz(data), folder)


def _match_inside(data: bytes, folder: Path) -> object:
    return in_file("a.npz", _match)(_npz(data), folder)


def _read_public(data: bytes, folder: Path) -> None:
    first, _, second = data.partition(b"\n")
    for name, line, read in (("pubmedqa_labeled", first, pubmedqa), ("mmlu_medical", second, mmlu)):
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(line, 1))
        read(str(folder))


# --- good ones -----------------------------------------------------------------------------------------------------------------


def _lines(records: Iterable[object]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def _csv(delimiter: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows([[*RECORDS[0]], *([*record.values()] for record in RECORDS)])
    return text.getvalue().encode()


def _parquet(records: list[dict[str, str]], packed: str) -> bytes:
    buffer = io.BytesIO()
    schema = pa.schema([field for field in SCHEMA if field.name in records[0]])
    pq.write_table(pa.Table.from_pylist(records, schema=schema), buffer, compression=packed)
    return buffer.getvalue()


def _zip(document: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("MedQuAD/a.xml", document)
    return buffer.getvalue()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("MedQuAD/a.xml")
        entry.size = len(XML)
        archive.addfile(entry, io.BytesIO(XML))
    return buffer.getvalue()


def _saved() -> bytes:
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        Dataset.from_list(RECORDS).save_to_disk(f"{folder}/saved")
        return joined(*(Path(folder, "saved", name).read_bytes() for name in SAVED))


def _manifest() -> bytes:
    return msgspec.json.encode(
        Manifest(
            hospital="A",
            source="a.csv",
            source_kind="CSV",
            source_sha256="",
            licence="CC0",
            partition="given",
            deidentified=False,
            pairs={"train": 2},
            topics=4,
            tokens=40,
            split_rule="by topic",
            seed=0,
            sha256="DIGEST",
        )
    )


@cache
def _sketches(hospital: str) -> bytes:
    """Of two pairs, with numbers that compress."""
    signatures, held_out = np.ones((2, sketch.PERMUTATIONS), np.uint32), np.array([False, True])
    ones = Sketches(hospital, np.ones((2, 16), np.uint8), signatures, held_out, key_check=bytes(16))
    with tempfile.TemporaryDirectory() as folder:
        sketch.save(ones, Path(folder, "sketches.npz"))
        return Path(folder, "sketches.npz").read_bytes()


def _inside(archive: bytes) -> bytes:
    """The arrays of an `.npz` archive, one after the other."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return joined(*(opened.read(name) for name in opened.namelist()))


def _npz(arrays: bytes) -> bytes:
    """The archive again, its checksums right."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        names = ("format", "hospital", "fingerprints", "signatures", "held_out", "key_check")
        for name, array in zip(names, parted(arrays, len(names)), strict=True):
            archive.writestr(f"{name}.npy", array)
    return buffer.getvalue()


def _pubmedqa() -> dict[str, object]:
    return {"question": "Does it help?", "context": ["It was tried."], "answer": "yes", "official_test": True}


def _mmlu() -> dict[str, object]:
    return {"group": "anatomy", "question": "Which?", "options": dict(zip("ABCD", "wxyz", strict=True)), "answer_idx": "B"}
