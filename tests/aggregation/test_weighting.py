"""Rules without evaluation: formulas worked by hand, and what one bad hospital of several can do."""

from __future__ import annotations

import pytest
import torch

from engine.aggregation import robust
from engine.aggregation.products import TOGETHER
from engine.aggregation.server_optimizer import TAU, server_step
from engine.aggregation.similarity import similarity, sketched
from engine.aggregation.weighting import RULES, SMALLEST_LOSS
from engine.model.adapters import Adapter
from tests.aggregation.adapters import adapter, product, situation, update, zero


def near(seed: int, centre: int = 1) -> Adapter:
    """A slightly different copy of one adapter."""
    noise = adapter(seed, size=0.01)
    return {name: tensor + noise[name] for name, tensor in adapter(centre).items()}


def flipped(one: Adapter, size: float) -> Adapter:
    return {name: -size * tensor if ".lora_B." in name else tensor for name, tensor in one.items()}


def test_weights_follow_their_formulas() -> None:
    two = situation(update("A", adapter(1), 30, loss=2.0, variance=0.0), update("B", adapter(2), 10, loss=1.0, variance=1.0))

    weights = {name: list(rule(two).values()) for name, rule in RULES.items()}

    assert weights["samples"] == [0.75, 0.25]
    assert weights["equal"] == [0.5, 0.5]
    assert weights["inverse_loss"] == pytest.approx([1 / 3, 2 / 3])
    assert weights["loss_variance"] == pytest.approx([15 / 20, 5 / 20])  # 30 / (2 · 1) against 10 / (1 · 2)


def test_a_reported_loss_of_zero_does_not_take_everything() -> None:
    two = situation(update("A", adapter(1), loss=1.0), update("B", adapter(2), loss=0.0))

    assert RULES["inverse_loss"](two)["A"] == pytest.approx(SMALLEST_LOSS / (1 + SMALLEST_LOSS))


@pytest.mark.parametrize("rule", ["krum", "geometric_median"])
def test_an_outlier_among_four_hardly_counts(rule: str) -> None:
    four = situation(
        *(update(name, near(seed)) for seed, name in enumerate("ABC", start=10)), update("D", flipped(adapter(1), 10.0))
    )

    weights = {"krum": robust.krum, "geometric_median": robust.geometric_median}[rule](four)

    assert weights["D"] < 0.02
    assert sum(weights.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("rule", [robust.median, robust.trimmed_mean])
def test_number_by_number_an_outlier_never_decides(rule: object) -> None:
    three = situation(update("A", near(10)), update("B", near(11)), update("C", flipped(adapter(1), 1e6)))

    result = rule(three)  # type: ignore[operator]

    assert max(float(tensor.abs().max()) for tensor in result.adapter.values()) < 10
    assert sum(result.weights.values()) == pytest.approx(1.0)


def test_the_median_of_three_is_torch_s_median() -> None:
    three = situation(*(update(name, adapter(seed)) for seed, name in enumerate("ABC")))

    result = robust.median(three)

    for name, tensor in result.adapter.items():
        assert torch.equal(tensor, torch.stack([one.adapter[name] for one in three.updates]).median(dim=0).values)


def test_clipping_shortens_only_what_is_too_long() -> None:
    three = situation(
        *(update(name, near(seed)) for seed, name in enumerate("AB", start=10)), update("C", flipped(adapter(1), 5.0))
    )

    weights = robust.clipped(three, {"A": 0.3, "B": 0.3, "C": 0.4}, medians=1.0)

    assert weights["C"] == pytest.approx(0.4 / 5, rel=0.05)
    assert weights["A"] == pytest.approx(0.3, rel=0.05)


def test_lengths_and_angles_are_those_of_the_changes() -> None:
    start, one, other = adapter(0), adapter(1), adapter(2)

    compare = similarity(start, [one, other])

    changes = torch.stack([product(one) - product(start), product(other) - product(start)])
    assert compare.norms == pytest.approx(changes.norm(dim=1).tolist())
    cosine = torch.nn.functional.cosine_similarity(changes, changes.mean(dim=0, keepdim=True))
    assert compare.outline.cosines == pytest.approx(cosine.tolist())


def test_updates_are_compared_once_a_round_where_nobody_is_left_out() -> None:
    two = situation(update("A", adapter(1)), update("B", adapter(2)))

    assert two.only(["A", "B"]) is two
    assert two.only(["B"]).names == ["B"]


def test_many_updates_are_compared_in_blocks_with_the_same_result() -> None:
    start, many = adapter(0), [adapter(seed) for seed in range(1, TOGETHER + 10)]

    inner = similarity(start, many).inner

    changes = torch.stack([product(one) - product(start) for one in many])
    assert torch.allclose(inner, changes @ changes.T)


def test_lengths_of_many_updates_are_exact_and_angles_nearly() -> None:
    start, many = adapter(0), [near(seed) for seed in range(1, TOGETHER)] + [adapter(seed) for seed in range(500, 510)]

    estimate, exact = sketched(start, many), similarity(start, many).outline

    assert estimate.norms == pytest.approx(exact.norms)
    assert estimate.cosines == pytest.approx(exact.cosines, abs=0.2)  # three standard errors with two layers


def test_server_momentum_adds_the_last_step() -> None:
    start, combined = zero(), adapter(1)

    first, memory = server_step("fedavgm", 0.0, start, combined, {})
    again, _ = server_step("fedavgm", 0.0, start, combined, memory)

    name = next(iter(start))
    assert torch.allclose(first[name], combined[name])
    assert torch.allclose(again[name] - start[name], 1.9 * (combined[name] - start[name]))


@pytest.mark.parametrize("rule", ["fedadam", "fedyogi"])
def test_adaptive_steps_follow_the_paper_s_first_round(rule: str) -> None:
    start, combined = zero(), adapter(1)

    after, memory = server_step(rule, 0.1, start, combined, {})  # type: ignore[arg-type]

    name = next(iter(start))
    delta = combined[name] - start[name]
    v = TAU**2 + 0.01 * (delta**2 - TAU**2) if rule == "fedadam" else TAU**2 - 0.01 * delta**2 * torch.sign(TAU**2 - delta**2)
    assert torch.allclose(memory["v"][name], v)
    assert torch.allclose(after[name], start[name] + 0.1 * 0.1 * delta / (v.sqrt() + TAU), atol=1e-7)
