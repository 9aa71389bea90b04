"""Sharing pairs out: every strategy, any number of hospitals, the same bits every time."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from engine.data.compare import topic_divergence
from engine.data.importing import partition_data
from engine.data.pairs import Pair
from engine.data.partition import list_hospitals, read_partition
from engine.data.strategies import hospital_names, shared_out
from engine.errors import DataError
from engine.protocol import ImportFinished, PartitionData, SourceOptions
from tests.data.helpers import imported, last, make_pairs, rows, write_jsonl

PAIRS = make_pairs(4000, topics=400)


def _plan(**settings: Any) -> PartitionData:
    return PartitionData(job="partition", source="pairs", **settings)


def _topics(pairs: list[Pair]) -> list[Counter[str]]:
    by_hospital: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in pairs:
        by_hospital[pair.hospital][pair.topic] += 1
    return [by_hospital[hospital] for hospital in sorted(by_hospital)]


@pytest.mark.parametrize("count", [2, 3, 26, 27, 100, 1000])
@pytest.mark.parametrize("strategy", ["iid", "dirichlet"])
def test_any_number_of_hospitals_from_2_to_1000(count: int, strategy: str) -> None:
    shared = shared_out(PAIRS, _plan(strategy=strategy, hospitals=count))

    sizes = Counter(pair.hospital for pair in shared)
    assert len(sizes) == count
    assert sum(sizes.values()) == len(PAIRS)
    assert min(sizes.values()) >= 2


def test_iid_hospitals_are_of_one_size_and_much_alike() -> None:
    shared = shared_out(PAIRS, _plan(strategy="iid", hospitals=4))

    assert set(Counter(pair.hospital for pair in shared).values()) == {1000}
    assert topic_divergence(_topics(shared)) < 0.15


def test_a_smaller_alpha_makes_hospitals_more_different() -> None:
    divergence = {
        alpha: topic_divergence(_topics(shared_out(PAIRS, _plan(strategy="dirichlet", hospitals=4, alpha=alpha))))
        for alpha in (0.05, 0.5, 5.0, 100.0)
    }

    assert divergence[0.05] > divergence[0.5] > divergence[5.0] > divergence[100.0]
    assert divergence[0.05] > 0.8


@pytest.mark.parametrize("alpha", [0.001, 1_000_000.0])
def test_extreme_alphas_still_give_every_hospital_something(alpha: float) -> None:
    sizes = Counter(pair.hospital for pair in shared_out(PAIRS, _plan(strategy="dirichlet", hospitals=50, alpha=alpha)))

    assert len(sizes) == 50
    assert min(sizes.values()) >= 2


def test_quantity_by_sizes_leaves_the_rest_out() -> None:
    shared = shared_out(PAIRS, _plan(strategy="quantity", sizes=(2000, 500, 100), names=("Big", "Middle", "Small")))

    assert Counter(pair.hospital for pair in shared) == {"Big": 2000, "Middle": 500, "Small": 100}


def test_quantity_by_proportions_uses_every_pair() -> None:
    shared = shared_out(PAIRS, _plan(strategy="quantity", proportions=(45, 25, 30)))

    assert Counter(pair.hospital for pair in shared) == {"A": 1800, "B": 1000, "C": 1200}


@pytest.mark.parametrize("strategy", ["iid", "quantity"])
def test_whole_topics_stay_at_one_hospital(strategy: str) -> None:
    proportions = (60, 30, 10) if strategy == "quantity" else ()

    shared = shared_out(PAIRS, _plan(strategy=strategy, proportions=proportions, whole_topics=True))

    homes: dict[str, set[str]] = defaultdict(set)
    for pair in shared:
        homes[pair.topic].add(pair.hospital)
    assert all(len(hospitals) == 1 for hospitals in homes.values())
    assert len(shared) == len(PAIRS)


@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        ({"strategy": "iid", "hospitals": 5}, "2cd50fcf037bed0c"),
        ({"strategy": "dirichlet", "hospitals": 5, "alpha": 0.3}, "c4ed3ecd35398e86"),
        ({"strategy": "quantity", "proportions": (5, 3, 2), "whole_topics": True}, "8f0c9352851e6dc0"),
    ],
    ids=["iid", "dirichlet", "quantity"],
)
def test_the_same_seed_gives_the_same_bits_on_every_machine(settings: dict[str, Any], digest: str) -> None:
    shared = shared_out(PAIRS, _plan(**settings, options=SourceOptions(seed=7)))

    assert hashlib.sha256("".join(f"{pair.id}:{pair.hospital};" for pair in shared).encode()).hexdigest()[:16] == digest


def test_another_seed_shares_out_differently() -> None:
    plans = [_plan(strategy="iid", options=SourceOptions(seed=seed)) for seed in (1, 2)]

    first, second = ([pair.hospital for pair in shared_out(PAIRS, plan)] for plan in plans)

    assert first != second


BAD_PLANS: dict[str, tuple[dict[str, Any], str]] = {
    "one hospital": ({"hospitals": 1}, "out of range"),
    "too many hospitals": ({"hospitals": 1001}, "out of range"),
    "fewer pairs than hospitals need": ({"hospitals": 900, "source": "pairs"}, "cannot be shared out"),
    "counts that differ": ({"names": ("A", "B"), "sizes": (1, 2, 3), "strategy": "quantity"}, "do not agree"),
    "a name twice": ({"names": ("A", "A")}, "names two"),
    "a name that is no folder": ({"names": ("../up", "B")}, "cannot name a hospital"),
    "a quantity of nothing": ({"strategy": "quantity"}, "needs sizes or proportions"),
    "sizes and proportions": ({"strategy": "quantity", "sizes": (5, 5), "proportions": (1.0, 1.0)}, "needs sizes or"),
    "more than there is": ({"strategy": "quantity", "sizes": (900, 900)}, "cannot be had"),
    "a proportion of nothing": ({"strategy": "quantity", "proportions": (1.0, 0.0)}, "above 0"),
    "alpha of nothing": ({"strategy": "dirichlet", "alpha": 0.0}, "out of range"),
    "divided topics kept whole": ({"strategy": "dirichlet", "whole_topics": True}, "cannot keep them whole"),
}


@pytest.mark.parametrize("case", BAD_PLANS)
def test_a_plan_that_cannot_work_says_why(case: str) -> None:
    settings, message = BAD_PLANS[case]

    with pytest.raises(DataError, match=message):
        shared_out(make_pairs(1000, 100), PartitionData(job="partition", **{"source": "pairs", **settings}))


def test_dirichlet_needs_topics() -> None:
    pairs = [Pair(id=str(at), question="Q?", answer="A.", topic="", kind="", hospital="", split="") for at in range(20)]

    with pytest.raises(DataError, match=r"no topics.*--topic-field"):
        shared_out(pairs, _plan(strategy="dirichlet"))


def test_names_are_letters_then_numbers() -> None:
    assert hospital_names(_plan(hospitals=3)) == ("A", "B", "C")
    assert hospital_names(_plan(hospitals=27))[:2] == ("001", "002")


# --- the job -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["iid", "dirichlet"])
def test_a_partition_of_a_file_can_be_trained_on(home: Path, strategy: str) -> None:
    source = write_jsonl(home / "pairs.jsonl", [{**row, "topic": f"topic {at % 60}"} for at, row in enumerate(rows(600))])

    plan = PartitionData(job="partition", source=str(source), strategy=strategy, hospitals=12)

    finished = last(partition_data(plan), ImportFinished)

    folder = home / "data" / "processed"
    assert sum(len(read_partition(folder, hospital)) for hospital in list_hospitals(folder)) == finished.kept == 600


def test_natural_is_an_import_by_a_field(home: Path) -> None:
    source = write_jsonl(home / "pairs.jsonl", [{**row, "ward": ("North", "South")[at % 2]} for at, row in enumerate(rows(80))])

    last(partition_data(PartitionData(job="partition", source=str(source), strategy="natural", field="ward")), ImportFinished)

    assert list_hospitals(home / "data" / "processed") == ("North", "South")


def test_the_sample_corpus_can_be_shared_out_anew(home: Path) -> None:
    last(partition_data(PartitionData(job="partition", source="sample", strategy="iid", hospitals=5)), ImportFinished)

    pairs = imported()
    assert len(pairs) == 499
    assert len({pair.hospital for pair in pairs}) == 5
