"""Settings: preset, then file, then flags; anything wrong is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import SettingsError
from engine.settings import DEMO, REFERENCE, load_config


def test_flags_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('preset = "reference"\nseed = 5\n[training]\nrounds = 9\nbatch_size = 2\n')

    config = load_config(file, overrides={"training.rounds": 4})

    assert (config.training.rounds, config.training.batch_size, config.seed) == (4, 2, 5)
    assert config.training.learning_rate == REFERENCE.training.learning_rate


def test_no_file_and_no_flags_is_the_demo() -> None:
    assert load_config() == DEMO


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rounds = ", "not valid TOML"),
        ("speed = 3", "speed"),
        ("[training]\nrounds = 0", "rounds"),
        ("[training]\nrounds = 'many'", "rounds"),
        ("[lora]\nrank = 8\ntarget_modules = []", "target_modules"),
        ("training = 3", "training"),
        ("preset = 'nowhere'", "no preset 'nowhere'"),
        ("[data]\nhospitals = ['A', 'A']", "named twice"),
        ("[model]\nquantization = 'int2'", "quantization"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "run.toml"
    file.write_text(text)

    with pytest.raises(SettingsError, match=says):
        load_config(file)


@pytest.mark.parametrize("weighting", ["median", "trimmed_mean"])
def test_a_rule_number_by_number_has_no_length_to_clip(weighting: str) -> None:
    with pytest.raises(SettingsError, match="number by number"):
        load_config(overrides={"aggregation.weighting": weighting, "aggregation.norm_clip": 1.0})


def test_the_pairs_of_a_federations_hospitals_are_not_looked_for_here() -> None:
    load_config().require_here("run")

    with pytest.raises(SettingsError, match="on their own machines"):
        load_config(overrides={"federation.name": "city"}).require_here("run")
