"""Combine rules against the dense computation in float64. Adapters are fp32, so products agree to about 1e-6."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.aggregation.combine import Ranks, combine, trained_factors
from engine.aggregation.products import ProductSum, gram
from engine.model.adapters import Adapter
from engine.settings import CombineRule
from tests.aggregation.adapters import adapter, product, zero

RULES: tuple[CombineRule, ...] = ("exact", "factors", "stacked", "frozen_a", "alternate")
TOLERANCE = 2e-6
"""Relative, in the Frobenius norm."""

weight_vectors = st.lists(st.floats(-2, 2).map(lambda weight: round(weight, 3)), min_size=1, max_size=4)


def dense(start: Adapter, updates: list[Adapter], weights: list[float]) -> torch.Tensor:
    """(1 − Σ w) P_0 + Σ w P_k."""
    total = (1 - sum(weights)) * product(start)
    for one, weight in zip(updates, weights, strict=True):
        total += weight * product(one)
    return total


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm().clamp(min=1e-12))


def svd(matrix: torch.Tensor, rank: int) -> torch.Tensor:
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ v[:rank]


@given(weights=weight_vectors, ranks=st.lists(st.integers(1, 4), min_size=4, max_size=4))
@settings(max_examples=40, deadline=None)
def test_a_stack_with_room_holds_the_dense_sum_exactly_at_mixed_ranks(weights: list[float], ranks: list[int]) -> None:
    start, updates = adapter(0), [adapter(k + 1, rank) for k, rank in zip(range(len(weights)), ranks, strict=False)]

    result = combine("stacked", start, updates, weights, Ranks(3, stacked=40))

    assert distance(product(result.adapter), dense(start, updates, weights)) < TOLERANCE
    assert result.error == pytest.approx(distance(product(result.adapter), dense(start, updates, weights)), abs=TOLERANCE)


@given(weights=weight_vectors, rank=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_exact_is_the_best_adapter_of_its_rank(weights: list[float], rank: int) -> None:
    start, updates = adapter(0), [adapter(k + 1, rank=1 + k) for k in range(len(weights))]

    result = combine("exact", start, updates, weights, Ranks(rank))

    whole = dense(start, updates, weights)
    best = torch.cat([svd(whole[:63].view(7, 9), rank).flatten(), svd(whole[63:].view(5, 9), rank).flatten()])
    assert distance(product(result.adapter), best) < TOLERANCE
    assert result.error == pytest.approx(distance(best, whole), abs=TOLERANCE)


@pytest.mark.parametrize("rule", RULES)
def test_one_hospital_alone_gets_its_own_adapter_back(rule: CombineRule) -> None:
    only = adapter(1)

    result = combine(rule, adapter(0), [only], [1.0], Ranks(3, stacked=3))

    assert distance(product(result.adapter), product(only)) < TOLERANCE
    assert result.error < TOLERANCE


@pytest.mark.parametrize("rule", RULES)
def test_the_order_of_hospitals_does_not_matter(rule: CombineRule) -> None:
    updates, weights = [adapter(k) for k in range(1, 4)], [0.5, 0.3, 0.2]

    forward = combine(rule, adapter(0), updates, weights, Ranks(3, stacked=12))
    backward = combine(rule, adapter(0), updates[::-1], weights[::-1], Ranks(3, stacked=12))

    assert distance(product(forward.adapter), product(backward.adapter)) < TOLERANCE


@pytest.mark.parametrize("rule", RULES)
def test_no_weight_at_all_leaves_the_start(rule: CombineRule) -> None:
    start = adapter(0)

    result = combine(rule, start, [adapter(1), adapter(2)], [0.0, 0.0], Ranks(3, stacked=12))

    assert distance(product(result.adapter), product(start)) < TOLERANCE


@pytest.mark.parametrize("rule", RULES)
def test_an_update_without_weight_leaves_no_trace(rule: CombineRule) -> None:
    start, one, other = adapter(0), adapter(1), adapter(2, size=1e6)

    result = combine(rule, start, [one, other], [1.0, 0.0], Ranks(3, stacked=12))

    assert distance(product(result.adapter), product(one)) < TOLERANCE


def test_half_the_weight_goes_half_the_way_from_the_start() -> None:
    start, one = adapter(0), adapter(1)

    result = combine("stacked", start, [one], [0.5], Ranks(6, stacked=12))

    assert distance(product(result.adapter), (product(start) + product(one)) / 2) < TOLERANCE


def test_directions_that_are_missing_stay_trainable() -> None:
    poor = adapter(1)  # rank 1, written with three equal columns and rows
    poor = {name: tensor[:1].repeat(3, 1) if "_A." in name else tensor[:, :1].repeat(1, 3) for name, tensor in poor.items()}

    result = combine("exact", zero(), [poor], [1.0], Ranks(3))

    assert distance(product(result.adapter), product(poor)) < TOLERANCE
    rows = [tensor.norm(dim=1) for name, tensor in result.adapter.items() if "_A." in name]
    assert all((row > 0.5).all() for row in rows)  # a zero row of A under a zero column of B would never learn again


def test_directions_that_no_hospital_sent_stay_trainable() -> None:
    small = adapter(1, rank=1)

    result = combine("exact", zero(), [small], [1.0], Ranks(3))

    assert distance(product(result.adapter), product(small)) < TOLERANCE
    for name, tensor in result.adapter.items():
        if "_A." in name:
            assert torch.allclose(tensor @ tensor.T, torch.eye(3) / 3, atol=1e-6)  # three directions, long as fresh ones


def test_averaging_factors_misses_the_product_and_says_by_how_much() -> None:
    start, updates, weights = adapter(0), [adapter(1), adapter(2)], [0.5, 0.5]

    result = combine("factors", start, updates, weights, Ranks(3))

    missed = distance(product(result.adapter), dense(start, updates, weights))
    assert missed > 0.1
    assert result.error == pytest.approx(missed, abs=TOLERANCE)


@pytest.mark.parametrize(("rule", "number", "same"), [("frozen_a", 1, "_A."), ("alternate", 1, "_A."), ("alternate", 2, "_B.")])
def test_averaging_is_exact_where_one_factor_is_everywhere_the_same(rule: CombineRule, number: int, same: str) -> None:
    start = adapter(0)
    updates = [{name: start[name] if same in name else one[name] for name in start} for one in (adapter(1), adapter(2))]

    result = combine(rule, start, updates, [0.7, 0.3], Ranks(3))

    assert same.strip("_.") not in trained_factors(rule, number)
    assert result.error < TOLERANCE


def test_a_full_stack_is_compressed_within_the_bound_it_states() -> None:
    updates = [adapter(k, rank=2, size=1 / (1 + k)) for k in range(40)]
    whole, narrow = ProductSum(capacity=1000), ProductSum(capacity=4, kept=2)
    for one in updates:
        whole.add(one, 0.1)
        narrow.add(one, 0.1)

    kept, bound = narrow.project(2)

    assert narrow.lost > 0
    assert whole.error_of(kept) <= bound * 1.05  # relative to two sums that differ a little


def test_inner_products_of_adapters_are_those_of_their_products() -> None:
    three = [adapter(1), adapter(2, rank=1), adapter(3, rank=4)]

    inner = gram(three)

    flat = torch.stack([product(one) for one in three])
    assert torch.allclose(inner, flat @ flat.T, rtol=1e-9)
