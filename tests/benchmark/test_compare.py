"""Two results side by side: what is better, what is worse, and what a gate trips on."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.benchmark.compare import Difference, compare
from engine.benchmark.metrics import metrics
from engine.benchmark.results import BenchmarkResults
from tests.benchmark.samples import inference, learning, privacy, results, spread


def difference(before: BenchmarkResults, after: BenchmarkResults, key: str) -> Difference:
    return next(one for one in compare(before, after) if one.metric.key == key)


def test_a_result_is_the_same_as_itself() -> None:
    assert {one.verdict for one in compare(results(), results())} == {"same"}


def test_every_figure_has_a_key_of_its_own() -> None:
    keys = [metric.key for metric in metrics(results())]

    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("rate", "verdict", "regressed"), [(70.0, "better", False), (60.0, "worse", False), (50.0, "worse", True)]
)
def test_slower_decoding_is_a_regression_beyond_the_tolerance(rate: float, verdict: str, regressed: bool) -> None:
    slower = results(inference=replace(inference(), tokens_per_second=spread(rate)))

    one = difference(results(), slower, "inference.decoding[all]")

    assert (one.verdict, one.regressed(tolerance=0.05)) == (verdict, regressed)


def test_a_higher_loss_is_worse() -> None:
    def with_macro(loss: float) -> Any:
        section = learning()
        arms = tuple(replace(arm, macro=loss) if arm.arm == "federated" else arm for arm in section.test.arms)  # type: ignore[union-attr]
        return results(learning=replace(section, test=replace(section.test, arms=arms)))

    one = difference(with_macro(2.2), with_macro(2.3), "learning.test_loss_federated[all]")

    assert one.verdict == "worse"
    assert one.change == pytest.approx(0.1 / 2.2)


def test_the_first_raw_value_ever_sent_is_a_regression_at_any_tolerance() -> None:
    section = privacy()
    leaking = replace(section, traffic=(*section.traffic, replace(section.traffic[0], kind="text", values=1)))

    one = difference(results(), results(privacy=leaking), "privacy.raw_values_sent[all]")

    assert one.regressed(tolerance=10.0)


def test_a_section_that_was_not_measured_is_new_or_gone_and_no_regression() -> None:
    found = list(compare(results(inference=None), results(safety=None)))

    verdicts = {one.metric.suite: one.verdict for one in found if one.metric.suite in ("inference", "safety")}
    assert verdicts == {"inference": "new", "safety": "gone"}
    assert not any(one.regressed(0.0) for one in found)
