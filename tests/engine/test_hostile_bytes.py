"""Spoilt bytes for every reader of outside bytes: a documented error or a value, never anything else.

A bounded search by hypothesis over the readers of `benchmarks.fuzz_readers`; `python -m benchmarks.fuzz` searches on.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz_readers import KINDS, TOKENS, Edit, Reader, readers, spoiled
from engine import locations
from engine.data.mapping import hospital_name
from engine.errors import DataError, FedMedError, RunError

READERS = {reader.name: reader for reader in readers()}
SHARE = st.floats(0, 1, exclude_max=True)
EDITS = st.lists(st.tuples(st.sampled_from(KINDS), SHARE, SHARE, st.sampled_from(TOKENS)), min_size=1, max_size=6)
BOUNDED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)


@pytest.mark.parametrize("name", READERS)
def test_good_bytes_are_read(name: str, tmp_path: Path) -> None:
    for seed in READERS[name].seeds:
        READERS[name].read(seed, tmp_path)


@pytest.mark.parametrize("name", READERS)
@BOUNDED
@given(data=st.data(), edits=EDITS)
def test_spoilt_bytes_end_in_a_documented_error_or_a_value(name: str, data: st.DataObject, edits: list[Edit]) -> None:
    reader: Reader = READERS[name]
    seed = data.draw(st.sampled_from(reader.seeds))
    with tempfile.TemporaryDirectory() as folder:
        try:
            reader.read(spoiled(seed, edits), Path(folder))
        except FedMedError as error:
            assert error.message and error.title


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
