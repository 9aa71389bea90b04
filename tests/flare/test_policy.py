"""What a hospital's policy forbids is not done, whatever is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from engine.errors import SettingsError
from engine.federated.flare import wire
from engine.federated.flare.policy import TEMPLATE, Policy, PolicyError, Rule, read_policy
from engine.protocol import HospitalInfo
from engine.settings import load_config

JOINED = wire.Joined(
    info=HospitalInfo(name="A", train=100, validation=10, test=10),
    digest="d1",
    quantization="4-bit weights, fp32 compute",
    tokenizer="t1",
    wire=wire.WIRE_VERSION,
)


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    (tmp_path / "local").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("policy", "run", "overrides", "rule"),
    [
        (Policy(runs=("asthma-*",)), "other", {}, "run"),
        (Policy(weightings=("equal",)), "r", {"aggregation.weighting": "agent"}, "aggregation"),
        (Policy(show_adapter=False), "r", {"aggregation.weighting": "agent"}, "adapter"),
    ],
)
def test_a_run_is_refused_before_anything_is_loaded(policy: Policy, run: str, overrides: dict[str, Any], rule: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        policy.check_run(run, load_config(overrides=overrides))

    assert refusal.value.rule == rule


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        (Policy(min_pairs=101), "pairs"),
        (Policy(max_steps=4), "steps"),
        (Policy(base_model="d2"), "base model"),
        (Policy(quantization="NF4"), "quantization"),
    ],
)
def test_data_and_model_must_be_as_it_asks(policy: Policy, rule: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        policy.check_join(JOINED, steps=5)

    assert refusal.value.rule == rule


def test_a_scalar_that_it_does_not_report_is_refused() -> None:
    with pytest.raises(PolicyError):
        Policy(reports=("progress",)).require("validation")


def test_losses_leave_with_so_many_decimals() -> None:
    assert Policy(decimals=2).rounded(2.34567) == 2.35


@pytest.mark.parametrize(
    ("decimals", "error", "told"), [(2, 0.0004, 0.01), (2, 0.031, 0.04), (2, 0.0, 0.0), (0, 0.3, 1.0), (17, 0.3, 0.3)]
)
def test_an_error_is_not_below_what_rounding_may_have_changed(decimals: int, error: float, told: float) -> None:
    assert Policy(decimals=decimals).rounded_up(error) == told


def test_an_adapter_moves_no_further_than_allowed() -> None:
    name = "layer.lora_A.weight"
    start, far = {name: torch.ones(2, 3)}, {name: torch.ones(2, 3) + 3.0}

    clipped = Policy(clip_norm=0.5).clipped(far, start)

    assert torch.linalg.vector_norm(clipped[name] - start[name]).item() == pytest.approx(0.5)
    assert torch.equal(Policy().clipped(far, start)[name], far[name])


def test_the_file_of_a_fresh_kit_says_the_defaults(kit: Path) -> None:
    lines = [line.removeprefix("# ") for line in TEMPLATE.splitlines() if " = " in line and line.startswith("# ")]
    (kit / "local" / "policy.toml").write_text("\n".join(lines))

    assert read_policy(kit) == Policy()


@pytest.mark.parametrize("text", ["min_pairs = -1", "unknown = 1", "min_pairs = ", "decimals = 40"])
def test_a_policy_that_cannot_be_read_is_no_policy(kit: Path, text: str) -> None:
    (kit / "local" / "policy.toml").write_text(text)

    with pytest.raises(SettingsError):
        read_policy(kit)


def test_every_refusal_has_its_sentence() -> None:
    from engine.federated.flare.answers import REFUSALS

    assert set(REFUSALS) == set(msgspec.inspect.type_info(Rule).values)  # type: ignore[attr-defined]
