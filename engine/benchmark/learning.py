"""Base, local-only, federated and centralised on the same TEST pairs, which no training and no choice has seen.

All arms start from the same adapter and take the run's number of steps, with its learning rate over the whole length:

* local: each hospital alone takes the steps it took in the run, on the same batches, without ever receiving the shared adapter;
* centralised: one training on all pairs takes as many steps as all hospitals together, so it sees as many pairs. No federation
  may do this; it bounds what sharing adapters can reach.
"""

from __future__ import annotations

from statistics import fmean

from msgspec.structs import replace

from engine.benchmark import recorded
from engine.benchmark.results import Arm, ArmLosses, Learning, TestComparison
from engine.benchmark.suite import Item, Measuring, NotMeasured, Subject, ticking
from engine.federated.hospital import Hospital, pooled
from engine.federated.update import Assignment
from engine.model.adapters import Adapter
from engine.settings import RunConfig

READ = "base and shared adapter on the test pairs"
ALONE = "each hospital trained alone"
TOGETHER = "all pairs trained in one place"
POOLED = "pooled"


def items(subject: Subject) -> list[Item]:
    """See `measure`."""
    if subject.request.quick:
        return [Item("reading the record", 0.0)]
    examination = subject.examination_work
    return [
        Item(READ, 2 * examination),
        Item(ALONE, subject.run_work + examination),
        Item(TOGETHER, subject.run_work + examination),
    ]


def measure(subject: Subject) -> Measuring[Learning]:
    """The record's validation losses, and in a full benchmark the four arms.

    Raises:
        DataError: the run's data cannot be read any more.
        NotMeasured: no hospital has test pairs, or the record holds no losses.
    """
    section = recorded.learning(subject.record)
    if section is None:
        raise NotMeasured("the record of the run holds no losses.", where=subject.request.run)
    if subject.request.quick:
        yield None
        return section
    return replace(section, test=(yield from _compare(subject)))


def _compare(subject: Subject) -> Measuring[TestComparison]:
    start = subject.bank.initial(subject.config.seed)
    steps = _steps(subject)
    total = sum(steps.values())
    arms: list[ArmLosses] = []
    pairs, tokens = {}, {}
    losses = {}
    for hospital in subject.tested:
        evaluation = yield from subject.examine(hospital, start)
        losses[hospital.name], pairs[hospital.name], tokens[hospital.name] = evaluation.loss, evaluation.pairs, evaluation.tokens
    arms.append(_arm("base", losses, 0))
    arms.append(_arm("local", (yield from _alone(subject, start, steps)), total))
    arms.append(_arm("federated", (yield from subject.test_losses(subject.shared)), total))
    arms.append(_arm("centralised", (yield from _together(subject, start, total)), total))
    return TestComparison(arms=tuple(arms), pairs=pairs, tokens=tokens, recovered=_recovered(arms))


def _alone(subject: Subject, start: Adapter, steps: dict[str, int]) -> Measuring[dict[str, float]]:
    """Test loss of each hospital's own adapter at home."""
    losses, share = {}, 1 / len(subject.tested)
    for number, name in enumerate(hospital.name for hospital in subject.tested):
        hospital, own = Hospital(name, subject.data, _uninterrupted(subject.config, steps[name])), start
        hospital.attach(subject.bank)
        if steps[name]:  # a hospital that was never drawn has taken none
            work = hospital.train(Assignment(round=1, start=start))
            own = (yield from ticking(work, ALONE, number * share, share)).adapter
        losses[name] = (yield from subject.examine(hospital, own)).loss
    return losses


def _together(subject: Subject, start: Adapter, steps: int) -> Measuring[dict[str, float]]:
    """Test loss at every hospital of an adapter trained on the pairs of all."""
    config = _uninterrupted(subject.config, steps)
    everyone = pooled(POOLED, subject.hospitals, replace(config, data=replace(config.data, max_pairs=0)))
    everyone.attach(subject.bank)
    update = yield from ticking(everyone.train(Assignment(round=1, start=start)), TOGETHER)
    return (yield from subject.test_losses(update.adapter))


def _uninterrupted(config: RunConfig, steps: int) -> RunConfig:
    """The same settings for one training of so many steps, with nobody to correct for."""
    return replace(config, training=replace(config.training, rounds=1, local_steps=steps, objective="fedavg"))


def _steps(subject: Subject) -> dict[str, int]:
    """Steps that each hospital took in the run."""
    steps = dict.fromkeys(subject.names, 0)
    for update in subject.record.trainings:
        steps[update.hospital] += update.steps
    return steps


def _arm(arm: Arm, losses: dict[str, float], steps: int) -> ArmLosses:
    return ArmLosses(arm=arm, losses=losses, macro=fmean(losses.values()), steps=steps)


def _recovered(arms: list[ArmLosses]) -> float | None:
    macro = {one.arm: one.macro for one in arms}
    possible = macro["base"] - macro["centralised"]
    return (macro["base"] - macro["federated"]) / possible if possible > 0 else None
