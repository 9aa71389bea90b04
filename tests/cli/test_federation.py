"""`fedmed-tui federation create` and `hospital start`: kits, and what is said of bad input."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from fedmed_tui.cli import BAD_INPUT, DONE, main

pytest.importorskip("nvflare", reason="NVIDIA FLARE is not installed: pip install -e '.[flare]'")


def test_create_makes_a_kit_per_hospital_and_says_what_goes_where(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["federation", "create", "city", "--hospitals", "A,St-Marys", "--server", "localhost"]) == DONE

    assert str(home / "federations" / "city" / "hospital_St-Marys") in capfd.readouterr().out
    for kit in ("hospital_A", "hospital_St-Marys", "server", "operator"):
        assert stat.S_IMODE((home / "federations" / "city" / kit).stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("City", "--hospitals", "A", "--server", "h"), "is not a federation's name"),
        (("city", "--hospitals", "A.1", "--server", "h"), "is not a hospital's name"),
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
