"""Spoilt bytes for every reader of outside bytes: a documented error or a value, never anything else.

A bounded search by hypothesis over the readers of `benchmarks.fuzz_readers`; `python -m benchmarks.fuzz` searches on.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import fuzz
from benchmarks.fuzz_bytes import KINDS, TOKENS, Edit, Reader, spoiled
from benchmarks.fuzz_readers import readers
from engine import locations
from engine.data.mapping import hospital_name
from engine.errors import DataError, FedMedError, RunError

READERS = {reader.name: reader for reader in readers()}
SHARE = st.floats(0, 1, exclude_max=True)
EDITS = st.lists(st.tuples(st.sampled_from(KINDS), SHARE, SHARE, st.sampled_from(TOKENS)), min_size=1, max_size=4)
BOUNDED = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)


def read_spoilt(reader: Reader, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            reader.read(data, Path(folder))
        except FedMedError as error:
            assert error.message and error.title


@pytest.mark.parametrize("name", READERS)
def test_good_bytes_are_read(name: str, tmp_path: Path) -> None:
    for seed in READERS[name].seeds:
        READERS[name].read(seed, tmp_path)


@pytest.mark.parametrize("name", READERS)
@BOUNDED
@given(data=st.data(), edits=EDITS)
def test_spoilt_bytes_end_in_a_documented_error_or_a_value(name: str, data: st.DataObject, edits: list[Edit]) -> None:
    seed = data.draw(st.sampled_from(READERS[name].seeds))

    read_spoilt(READERS[name], spoiled(seed, edits))


def _undocumented(data: bytes, folder: Path) -> object:
    return {b"good": 1}[data]


def _endless(data: bytes, folder: Path) -> object:
    while True:
        pass


def _greedy(data: bytes, folder: Path) -> object:
    return bytearray(2 * fuzz.LIMIT_BYTES)


def _deadly(data: bytes, folder: Path) -> object:
    os._exit(1)


@pytest.mark.parametrize("read", [_undocumented, _endless, _greedy, _deadly])
def test_the_search_notices_what_is_no_documented_error(
    read: Callable[[bytes, Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "LIMIT_SECONDS", 1)

    outcome = fuzz.in_batches(Reader("faulty", (b"good",), read), 1, seed=1, findings=tmp_path / "found")

    assert outcome.findings == 1
    assert [path.suffix for path in sorted((tmp_path / "found").iterdir())] == [".bytes", ".txt"]


@BOUNDED
@given(text=st.text(max_size=90))
def test_no_name_of_a_run_leaves_the_runs_folder(text: str) -> None:
    try:
        folder = locations.run_folder(text)
    except RunError:
        return
    assert folder.parent == locations.runs_folder()
    assert folder.name not in (".", "..")


@BOUNDED
@given(text=st.text(max_size=90))
def test_no_hospital_in_the_data_becomes_a_folder_elsewhere(text: str) -> None:
    try:
        name = hospital_name(text)
    except DataError:
        return
    assert Path(f"hospital_{name}").name == f"hospital_{name}"
    assert "\x1b" not in name and "\0" not in name
