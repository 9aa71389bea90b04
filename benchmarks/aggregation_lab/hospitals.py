"""Hospitals made of MedQuAD for the study: who holds which pairs, and what is wrong with one of them in each scenario."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.data.pairs import TEST, TRAIN, VALIDATION, Pair

MEDQUAD = Path(__file__).parents[3] / "shared" / "data" / "medquad.jsonl.gz"
SCENARIOS = ("clean", "noisy_large", "noisy_small", "duplicated", "poison", "liar")
DISTINCT = 12
"""Different pairs that the duplicated hospital really holds."""


@dataclass(frozen=True)
class Plan:
    """Training pairs by hospital, largest first, each hospital a group of MedQuAD's sources; the other splits' sizes."""

    train: dict[str, int]
    sources: dict[str, tuple[str, ...]]
    validation: int
    test: int

    def bad(self, scenario: str) -> str:
        """The hospital that something is wrong with; empty in `clean`."""
        names = list(self.train)
        return {
            "noisy_large": names[0],
            "noisy_small": names[-1],
            "duplicated": names[0],
            "poison": names[1],
            "liar": names[-1],
        }.get(scenario, "")

    def honest(self, scenario: str) -> tuple[str, ...]:
        """Hospitals whose loss is reported: an attacker's own does not count."""
        attacker = self.bad(scenario) if scenario in ("poison", "liar") else ""
        return tuple(name for name in self.train if name != attacker)


SMALL = Plan(
    train={"GHR": 480, "NIDDK": 240, "NINDS": 120, "CancerGov": 60},
    sources={name: (name,) for name in ("GHR", "NIDDK", "NINDS", "CancerGov")},
    validation=60,
    test=100,
)
REAL = Plan(
    train={"A": 180, "C": 120, "B": 100},
    sources={
        "A": ("GHR", "GARD"),
        "B": ("MPlusHealthTopics", "NIHSeniorHealth", "NHLBI", "CDC"),
        "C": ("CancerGov", "NIDDK", "NINDS"),
    },
    validation=48,
    test=32,
)


def write(folder: Path, plan: Plan, scenario: str, seed: int) -> None:
    """Two partitions a hospital: `folder/run` to train and judge on, `folder/final` whose validation pairs are the test pairs."""
    for name in plan.train:
        pairs = _draw(name, plan, random.Random(f"{seed}/{name}"))
        wrong = _WRONGS.get(scenario) if name == plan.bad(scenario) else None
        run = wrong(pairs, random.Random(f"{seed}/{name}/{scenario}")) if wrong else pairs
        _write(folder / "run" / f"hospital_{name}.jsonl", [pair for pair in run if pair.split != TEST])
        final = [replace(pair, split=VALIDATION) for pair in pairs if pair.split == TEST]
        _write(folder / "final" / f"hospital_{name}.jsonl", [*final, replace(final[0], split=TRAIN)])


def texts(sources: Sequence[str]) -> list[str]:
    """Questions with answers of some sources, for pre-training."""
    return [f"{record['question']} {record['answer']}" for record in _records() if record["source"] in sources]


def _draw(name: str, plan: Plan, draw: random.Random) -> list[Pair]:
    """A hospital's pairs, split by topic: test as in MedQuAD, validation as in MedQuAD and as many topics more as it takes."""
    records = [record for record in _records() if record["source"] in plan.sources[name]]
    by_topic: dict[str, list[dict[str, str]]] = {}
    for record in records:
        if record["split"] != "test":
            by_topic.setdefault(record["focus"].lower(), []).append(record)
    topics = sorted(by_topic)
    draw.shuffle(topics)
    topics.sort(key=lambda topic: by_topic[topic][0]["split"] != "val")
    pools: dict[str, list[Pair]] = {TRAIN: [], VALIDATION: [], TEST: []}
    for record in records:
        if record["split"] == "test":
            pools[TEST].append(_pair(record, name, TEST))
    for topic in topics:
        split = VALIDATION if len(pools[VALIDATION]) < plan.validation else TRAIN
        pools[split] += [_pair(record, name, split) for record in by_topic[topic]]
    sizes = {TRAIN: plan.train[name], VALIDATION: plan.validation, TEST: plan.test}
    chosen = []
    for split, pool in pools.items():
        draw.shuffle(pool)
        chosen += pool[: sizes[split]]
    return chosen


def _shuffled_answers(pairs: list[Pair], draw: random.Random) -> list[Pair]:
    """Every question gets the answer of another one, each word of it out of place."""
    answers = [pair.answer.split() for pair in pairs]
    draw.shuffle(answers)
    for words in answers:
        draw.shuffle(words)
    return [replace(pair, answer=" ".join(words)) for pair, words in zip(pairs, answers, strict=True)]


def _duplicated(pairs: list[Pair], draw: random.Random) -> list[Pair]:
    train = [pair for pair in pairs if pair.split == TRAIN]
    few = draw.sample(train, DISTINCT)
    return [few[number % DISTINCT] for number in range(len(train))] + [pair for pair in pairs if pair.split != TRAIN]


_WRONGS: dict[str, Callable[[list[Pair], random.Random], list[Pair]]] = {
    "noisy_large": _shuffled_answers,
    "noisy_small": _shuffled_answers,
    "liar": _shuffled_answers,
    "duplicated": _duplicated,
}


def _pair(record: dict[str, str], hospital: str, split: str) -> Pair:
    return Pair(record["id"], record["question"], record["answer"], record["focus"], record["qtype"], hospital, split)


_cache: list[dict[str, str]] = []


def _records() -> list[dict[str, str]]:
    if not _cache:
        with gzip.open(MEDQUAD, "rt", encoding="utf-8") as lines:
            _cache.extend(record for line in lines if not (record := json.loads(line))["flags"])
    return _cache


def _write(path: Path, pairs: Sequence[Pair]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = ("id", "question", "answer", "topic", "kind", "hospital", "split")
    path.write_text(
        "".join(json.dumps({name: getattr(pair, name) for name in fields}) + "\n" for pair in pairs), encoding="utf-8"
    )
