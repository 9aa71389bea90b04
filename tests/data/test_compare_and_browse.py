"""How different hospitals are, and the pages of a hospital's pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.data.browse import browse
from engine.data.compare import compare, topic_distances, topic_divergence
from engine.errors import DataError
from engine.protocol import BrowsePairs, HospitalsCompared, PairsPage
from tests.data.helpers import last, rows, run_import, write_jsonl


def test_equal_topics_have_distance_0_and_foreign_ones_1() -> None:
    same, scaled, other = {"flu": 2, "gout": 6}, {"flu": 1, "gout": 3}, {"asthma": 5}

    (first, second, third) = topic_distances([same, scaled, other])

    assert first == pytest.approx((0.0, 0.0, 1.0))
    assert second == pytest.approx((0.0, 0.0, 1.0))
    assert third == pytest.approx((1.0, 1.0, 0.0))


def test_a_half_shared_distribution_has_the_textbook_distance() -> None:
    ((_, distance), _) = topic_distances([{"flu": 1, "gout": 1}, {"gout": 1, "asthma": 1}])

    assert distance == pytest.approx(0.5**0.5)  # divergence 1/2 bit


def test_divergence_over_all_hospitals_runs_from_0_to_1() -> None:
    same = {"flu": 2, "gout": 6}

    assert topic_divergence([same, same, same]) == pytest.approx(0.0)
    assert topic_divergence([{"flu": 3}, {"gout": 5}, {"asthma": 1}]) == pytest.approx(1.0)
    assert 0.0 < topic_divergence([{"flu": 3, "gout": 1}, {"gout": 5}]) < 1.0


def test_hospitals_whose_pairs_name_no_topic_are_compared_by_their_words_alone(home: Path) -> None:
    splits = ("train", "validation", "test")
    untold = [row | {"topic": "", "split": splits[at % 3]} for at, row in enumerate(rows(40))]
    for hospital, own in (("A", untold[:20]), ("B", untold[20:])):
        write_jsonl(home / f"hospital_{hospital}.jsonl", own)

    compared = last(compare("compare", home), HospitalsCompared)

    assert (compared.topic_distance, compared.topic_divergence) == ((), None)
    assert compared.vocabulary_overlap[0][1] > 0


def test_the_sample_hospitals_share_words_but_no_topics(home: Path) -> None:
    from engine import locations

    compared = last(compare("compare", locations.sample_folder()), HospitalsCompared)

    assert [one.hospital for one in compared.hospitals] == ["A", "B", "C"]
    assert compared.topic_distance[0] == (0.0, 1.0, 1.0)
    assert all(0.2 < value < 0.6 for value in compared.vocabulary_overlap[0][1:])
    assert all(list(one.answer_words) == sorted(one.answer_words) for one in compared.hospitals)


def _page(**settings: object) -> PairsPage:
    return last(browse(BrowsePairs(**{"job": "browse", "folder": "data/processed", "hospital": "A", **settings})), PairsPage)


def test_pages_follow_each_other(home: Path) -> None:
    run_import(write_jsonl(home / "pairs.jsonl", rows(60)))

    first, second = _page(limit=25), _page(offset=25, limit=25)

    assert (first.total, first.matches, second.offset) == (60, 60, 25)
    assert [pair.topic for pair in (*first.pairs, *second.pairs)] == [f"ailment {at}" for at in range(50)]
    assert _page(offset=1000).pairs == ()


def test_a_query_finds_all_its_words_anywhere_in_any_case(home: Path) -> None:
    records = rows(40)
    records[7] = {"question": "What is Gicht?", "answer": "A disease of the JOINTS.", "topic": "gout", "kind": "overview"}
    run_import(write_jsonl(home / "pairs.jsonl", records))

    page = _page(query="  Joints GOUT overview ")

    assert (page.matches, page.pairs[0].question) == (1, "What is Gicht?")
    assert _page(query="gout asthma").matches == 0


def test_a_new_import_is_seen_at_once(home: Path) -> None:
    run_import(write_jsonl(home / "pairs.jsonl", rows(40)))
    assert _page().total == 40

    run_import(write_jsonl(home / "pairs.jsonl", rows(50)))

    assert _page().total == 50


def test_browsing_an_unknown_hospital(home: Path) -> None:
    run_import(write_jsonl(home / "pairs.jsonl", rows(40)))

    with pytest.raises(DataError, match="no hospital 'Z'"):
        _page(hospital="Z")
