"""The agent against hospitals whose loss is a known function of the weights: what it finds, what it cannot be talked into."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping

import pytest

from engine.aggregation.aggregator import Aggregation, Aggregator, Round
from engine.aggregation.evidence import bounded_mean
from engine.aggregation.explain import explain
from engine.aggregation.memory import Memory
from engine.aggregation_messages import Aggregated
from engine.federated.update import Assessment, Update, Verdict
from engine.protocol import Stamped, decode_event, encode_event
from engine.settings import RunConfig, load_config
from tests.aggregation.adapters import adapter, update, zero
from tests.engine.faults import VERDICTS

Loss = Callable[[tuple[float, ...]], float]
PAIR_TOKENS = 10


class Voters:
    """Answers like hospitals do: each has a loss over weight vectors, the same on all of its pairs but for some spread."""

    def __init__(
        self,
        losses: dict[str, Loss],
        spread: float = 0.001,
        pairs: int = 16,
        spoilt: Mapping[str, Callable[[Verdict], Verdict]] | None = None,
    ) -> None:
        self._losses, self._spread, self._pairs, self._spoilt = losses, spread, pairs, spoilt or {}
        self.asked: list[Assessment] = []

    def assess(self, assessment: Assessment) -> Generator[Verdict | None, None, None]:
        self.asked.append(assessment)
        for voter in sorted(assessment.tokens):
            yield None
            pairs = min(self._pairs, assessment.pairs, assessment.tokens[voter] // PAIR_TOKENS)
            losses = [self._losses[voter](vector) for vector in assessment.vectors]
            errors = [0.0, *(self._spread / math.sqrt(max(1, pairs)) for _ in losses[1:])]
            slopes = self._slopes(voter, assessment.vectors[0]) if assessment.slopes else ()
            gains = tuple(losses[0] - loss for loss in losses)
            verdict = Verdict(voter, tuple(losses), gains, tuple(errors), slopes, pairs, pairs * PAIR_TOKENS, seconds=0.0)
            yield self._spoilt.get(voter, lambda sound: sound)(verdict)

    def _slopes(self, voter: str, at: tuple[float, ...]) -> tuple[float, ...]:
        step = 1e-5
        loss = self._losses[voter]
        return tuple(
            (loss((*at[:k], at[k] + step, *at[k + 1 :])) - loss((*at[:k], at[k] - step, *at[k + 1 :]))) / (2 * step)
            for k in range(len(at))
        )


def bowl(*best: float, depth: float = 0.5) -> Loss:
    """2 nats with no step at all less up to `depth` at the best weights."""
    size = sum(one**2 for one in best)
    return lambda v: 2 - depth + depth * sum((a - b) ** 2 for a, b in zip(v, best, strict=True)) / size


def config(**overrides: object) -> RunConfig:
    return load_config(overrides={"lora.rank": 3} | {f"aggregation.{name}": value for name, value in overrides.items()})


def updates(tokens: int = 4000) -> list[Update]:
    sizes = {"A": 60, "B": 30, "C": 10}
    made = [update(name, adapter(seed), pairs) for seed, (name, pairs) in enumerate(sizes.items())]
    return [Update(**{**{f: getattr(one, f) for f in one.__dataclass_fields__}, "tokens": tokens}) for one in made]


def aggregate(
    voters: Voters,
    settings: RunConfig | None = None,
    memory: Memory | None = None,
    given: list[Update] | None = None,
    number: int = 1,
) -> Aggregation:
    work = Aggregator(settings or config(), voters).aggregate(
        Round(number, zero(), given or updates()), memory or Memory(), moments={}
    )
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Aggregation = end.value
            return result


def weight(event: Aggregated, hospital: str) -> float:
    return next(one.weight for one in event.weights if one.hospital == hospital)


def standing(event: Aggregated, hospital: str) -> str:
    return next(one.standing for one in event.weights if one.hospital == hospital)


def told(event: Aggregated) -> list[str]:
    return [reason.text for reason in event.reasons]


def test_weights_move_to_where_all_hospitals_lose_less() -> None:
    best = bowl(0.2, 0.3, 0.5)

    event = aggregate(Voters({"A": best, "B": best, "C": best})).event

    assert event.verdict == "chosen"
    assert best(tuple(one.weight * event.scale for one in event.weights)) < best((0.6, 0.3, 0.1)) - 0.05
    assert weight(event, "C") > 0.25


def test_a_longer_step_is_found_where_it_helps() -> None:
    best = bowl(0.9, 0.45, 0.15)  # sample weights times 1.5

    event = aggregate(Voters({"A": best, "B": best, "C": best})).event

    assert 1.2 < event.scale < 1.7


def test_sample_weights_stay_where_nothing_is_better() -> None:
    best = bowl(0.6, 0.3, 0.1)

    event = aggregate(Voters({"A": best, "B": best, "C": best})).event

    assert event.verdict == "kept"
    assert [one.weight for one in event.weights] == pytest.approx([0.6, 0.3, 0.1])
    assert "Kept sample weights" in event.reason


def test_noise_is_not_taken_for_evidence() -> None:
    best = bowl(0.5, 0.3, 0.2)

    event = aggregate(Voters({"A": best, "B": best, "C": best}, spread=1.0)).event

    assert event.verdict == "kept"
    assert "not distinguishable from chance" in event.reason


def test_an_update_that_harms_everyone_else_gets_neither_weight_nor_vote() -> None:
    def harmed(v: tuple[float, ...]) -> float:
        return bowl(0.5, 0.5)(v[:2]) + 0.8 * v[2]

    event = aggregate(Voters({"A": harmed, "B": harmed, "C": bowl(0.0, 0.0, 1.0)})).event

    assert standing(event, "C") == "suspect"
    assert weight(event, "C") == 0
    assert [one.voter for one in event.slices if not one.voted] == ["C"]
    assert any("its update alone raised the validation loss of A and B by" in text for text in told(event))


def test_who_did_not_count_in_the_last_round_has_no_vote_in_this_one() -> None:
    best = bowl(0.2, 0.3, 0.5)
    voters = Voters({"A": best, "B": best, "C": best})

    event = aggregate(voters, memory=Memory(faults={"C": (1,)}), number=2).event

    assert standing(event, "C") == "counted"
    assert [one.voter for one in event.slices if not one.voted] == ["C"]
    assert "C counts again, but has no vote yet: in the last round it did not count." in told(event)


def test_one_liar_cannot_get_an_honest_hospital_suspected() -> None:
    honest = bowl(0.6, 0.3, 0.1)

    def liar(v: tuple[float, ...]) -> float:
        return 2 + 50 * v[0]

    event = aggregate(Voters({"A": honest, "B": honest, "C": liar})).event

    assert standing(event, "A") == "counted"
    assert weight(event, "A") > 0.4


def test_a_single_vote_cannot_buy_more_than_its_bound() -> None:
    assert bounded_mean([0.01, 0.01, 1000.0]) == pytest.approx((0.01 + 0.01 + 0.03) / 3)


@pytest.mark.parametrize("fault", VERDICTS)
def test_a_voter_with_an_impossible_verdict_is_not_heard_again(fault: str) -> None:
    best = bowl(0.2, 0.3, 0.5)
    voters = Voters({"A": best, "B": best, "C": best}, spoilt={"C": VERDICTS[fault]})

    result = aggregate(voters)

    assert [(lost.hospital, lost.kind) for lost in result.lost] == [("C", "damaged")]
    assert [use.voter for use in result.event.slices] == ["A", "B"]
    assert result.event.verdict == "chosen"


def test_an_update_far_too_long_is_gated_before_anything_is_tried() -> None:
    best = bowl(0.6, 0.3, 0.1)
    given = updates()
    given[2] = update("C", {name: 5 * tensor for name, tensor in adapter(7).items()})
    voters = Voters({"A": lambda v: best((*v, 0.1)), "B": lambda v: best((*v, 0.1))})

    event = aggregate(voters, given=given).event

    assert standing(event, "C") == "gated"
    assert any("times as long as the median" in text for text in told(event))
    assert all(set(assessment.tokens) == {"A", "B"} for assessment in voters.asked)


def test_too_few_pairs_fall_back_to_sample_weights_and_say_so() -> None:
    best = bowl(0.2, 0.3, 0.5)

    event = aggregate(Voters({"A": best, "B": best, "C": best}, pairs=3)).event

    assert event.verdict == "thin"
    assert [one.weight for one in event.weights] == pytest.approx([0.6, 0.3, 0.1])
    assert "too few to tell" in event.reason


@pytest.mark.parametrize("share", [0.1, 0.25, 1.0])
def test_the_work_of_judging_stays_within_its_share(share: float) -> None:
    best = bowl(0.2, 0.3, 0.5)

    event = aggregate(Voters({"A": best, "B": best, "C": best}, pairs=1000), config(evaluation_share=share)).event

    assert event.cost is not None
    assert 0 < event.cost.share <= share


def test_with_fixed_weights_nobody_is_asked() -> None:
    voters = Voters({})

    event = aggregate(voters, config(trust="fixed")).event

    assert voters.asked == []
    assert event.verdict == "fixed"
    assert [one.weight for one in event.weights] == pytest.approx([0.6, 0.3, 0.1])


def test_the_same_round_is_decided_the_same_way() -> None:
    best = bowl(0.2, 0.3, 0.5)

    first, second = (aggregate(Voters({"A": best, "B": best, "C": best})) for _ in range(2))

    assert first.event.candidates == second.event.candidates
    assert first.memory == second.memory


def test_evidence_of_earlier_rounds_counts_but_fades() -> None:
    best = bowl(0.2, 0.3, 0.5)
    voters = Voters({"A": best, "B": best, "C": best}, spread=0.05)

    first = aggregate(voters)
    second = aggregate(voters, memory=first.memory, number=2)

    old, new = first.memory.evidence["optimum"], second.memory.evidence["optimum"]
    assert new[1] == pytest.approx(old[1] * 1.7, rel=0.2)  # 0.7 of the old precision, and as much again


def test_every_sentence_can_be_told_again_from_the_recorded_event() -> None:
    def harmed(v: tuple[float, ...]) -> float:
        return bowl(0.5, 0.5)(v[:2]) + 0.8 * v[2]

    event = aggregate(Voters({"A": harmed, "B": harmed, "C": harmed}), memory=Memory(faults={"C": (1,)}), number=2).event

    recorded = decode_event(encode_event(Stamped(seq=1, time=0.0, event=event))).event

    assert isinstance(recorded, Aggregated)
    assert explain(recorded) == event.reasons
    assert any(text.startswith("C neither counts") and "2 of the last three rounds" in text for text in told(event))
    assert all(reason.fields for reason in event.reasons)


def test_an_update_that_is_not_finite_is_left_out_by_every_rule() -> None:
    given = updates()
    broken = Round(1, zero(), [one for one in given if one.hospital != "B"], {"B": "holds NaN or infinity"})

    work = Aggregator(config(weighting="samples"), Voters({})).aggregate(broken, Memory(), {})
    with pytest.raises(StopIteration) as end:
        next(work)

    event = end.value.value.event
    assert standing(event, "B") == "gated"
    assert weight(event, "A") == pytest.approx(60 / 70)


def test_fedlaw_follows_the_slopes() -> None:
    best = bowl(0.2, 0.3, 0.5)

    event = aggregate(Voters({"A": best, "B": best, "C": best}), config(weighting="fedlaw")).event

    assert weight(event, "C") > 0.1
    assert event.cost is not None
    assert event.cost.share <= 1.0
