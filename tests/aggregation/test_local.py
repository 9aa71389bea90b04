"""Local training under combine rules and objectives, on a tiny model."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine import locations
from engine.aggregation.assignment import CONTROL, assignment, controls
from engine.aggregation.products import layers, rank_of
from engine.federated.hospital import Hospital
from engine.federated.update import Assignment, Update
from engine.model.adapters import Adapter, AdapterBank
from engine.settings import RunConfig, load_config
from tests.aggregation.test_candidates import finish, trained


def settings(**overrides: Any) -> RunConfig:
    fixed = {"training.local_steps": 2, "training.batch_size": 2, "training.warmup_fraction": 0.0, "lora.rank": 4}
    return load_config(overrides=fixed | {name.replace("__", "."): value for name, value in overrides.items()})


def train(bank: AdapterBank, config: RunConfig, task: Assignment) -> Update:
    one = Hospital("B", locations.sample_folder(), config)
    one.attach(bank)
    result = finish(one.train(task))
    assert isinstance(result, Update)
    return result


def changed(before: Adapter, after: Adapter) -> set[str]:
    return {"A" if "_A." in name else "B" for name, tensor in before.items() if not torch.equal(tensor, after[name])}


@pytest.mark.parametrize(
    ("rule", "number", "factors"), [("frozen_a", 1, {"B"}), ("alternate", 1, {"B"}), ("alternate", 2, {"A"})]
)
def test_only_the_factor_whose_turn_it_is_changes(bank: AdapterBank, rule: str, number: int, factors: set[str]) -> None:
    config, start = settings(aggregation__combine=rule), trained(bank, 1)

    update = train(bank, config, assignment(config, number, start, {}, bank.initial))

    assert changed(start, update.adapter) == factors


def test_a_stacked_round_trains_a_fresh_adapter_over_the_frozen_one(bank: AdapterBank) -> None:
    config, start = settings(aggregation__combine="stacked", training__weight_decay=0.1), trained(bank, 1)

    task = assignment(config, 2, start, {}, bank.initial)
    update = train(bank, config, task)

    assert (task.held, rank_of(update.adapter)) == (4, 8)
    for a, b in layers(start):
        assert torch.equal(update.adapter[a][:4], start[a])
        assert torch.equal(update.adapter[b][:, :4], start[b])
        assert update.adapter[b][:, 4:].any()


def test_a_hospital_of_lower_rank_trains_the_leading_directions(bank: AdapterBank) -> None:
    config = settings(lora__hospital_ranks={"B": 2})

    update = train(bank, config, Assignment(1, trained(bank, 1)))

    assert rank_of(update.adapter) == 2


def test_fedprox_pulls_towards_the_start(bank: AdapterBank) -> None:
    start = trained(bank, 1)
    free, held = (
        train(
            bank, settings(training__objective=objective, training__proximal=10.0, training__local_steps=6), Assignment(1, start)
        )
        for objective in ("fedavg", "fedprox")
    )

    def moved(update: Update) -> float:
        return sum(float((update.adapter[name] - tensor).square().sum()) for name, tensor in start.items())

    assert moved(held) < moved(free)


def test_scaffold_sends_its_mean_gradient_and_is_corrected_by_the_others(bank: AdapterBank) -> None:
    config, start = settings(training__objective="scaffold", aggregation__combine="factors"), trained(bank, 1)
    alone = train(bank, config, Assignment(1, start))
    other = {name: torch.ones_like(tensor) for name, tensor in alone.gradient.items()}

    task = assignment(config, 1, start, controls([alone], {CONTROL + "C": other}), bank.initial)
    corrected = train(bank, config, task)

    name = next(iter(start))
    assert torch.allclose(task.corrections["B"][name], (other[name] - alone.gradient[name]) / 2)
    assert changed(alone.adapter, corrected.adapter) == {"A", "B"}
    assert torch.allclose(corrected.gradient[name], alone.gradient[name], atol=0.5)  # its own gradients, uncorrected


def test_under_alternate_a_hospital_that_missed_a_round_is_corrected_by_those_who_trained_the_factor(bank: AdapterBank) -> None:
    config, start = settings(training__objective="scaffold", aggregation__combine="alternate"), bank.initial(1)
    (a, b), *_ = layers(start)
    both = {a: torch.ones_like(start[a]), b: torch.ones_like(start[b])}

    task = assignment(config, 3, start, {CONTROL + "A": {b: 3 * both[b]}, CONTROL + "B": both}, bank.initial)

    assert task.corrections["A"].keys() == {b}
    assert torch.equal(task.corrections["A"][b], -both[b])
    assert not task.corrections["B"][a].any()


def test_under_alternate_the_control_variate_of_the_other_factor_is_kept(bank: AdapterBank) -> None:
    config, start = settings(training__objective="scaffold", aggregation__combine="alternate"), trained(bank, 1)
    first, second = (train(bank, config, assignment(config, number, start, {}, bank.initial)) for number in (1, 2))

    kept = controls([second], controls([first], {}))

    assert kept[CONTROL + "B"].keys() == start.keys()
