"""Who gets which pair: Dirichlet over topics, IID, or given quantities, for 2 to 1,000 hospitals.

No random stream of a library decides alone: the order of pairs and topics is that of their SHA-256 with the seed, and the
Dirichlet draws come from numpy's legacy generator, whose stream is frozen. So every machine shares out the same way.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.data.pairs import HOSPITAL_NAME, Pair
from engine.errors import DataError
from engine.protocol import PartitionData

MIN_HOSPITALS, MAX_HOSPITALS = 2, 1000
MIN_PAIRS = 2
"""Per hospital: one to train on, one to be judged by."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def shared_out(pairs: Sequence[Pair], plan: PartitionData) -> list[Pair]:
    """The pairs with their hospital, in the order given; with `sizes`, those beyond them are left out.

    Raises:
        DataError: the plan does not fit the pairs, or contradicts itself.
    """
    names = hospital_names(plan)
    if len(pairs) < MIN_PAIRS * len(names):
        raise DataError(
            f"{len(pairs):,} pairs cannot be shared out among {len(names):,} hospitals.",
            where=plan.source,
            hint=f"Each needs at least {MIN_PAIRS}: choose fewer hospitals.",
        )
    if plan.strategy == "dirichlet":
        owners = _dirichlet(pairs, plan, len(names))
    else:
        targets = _targets(len(pairs), plan, len(names))
        owners = _by_topic(pairs, plan, targets) if plan.whole_topics else _by_pair(pairs, plan, targets)
    return [replace(pair, hospital=names[owner]) for pair, owner in zip(pairs, owners, strict=True) if owner is not None]


def hospital_names(plan: PartitionData) -> tuple[str, ...]:
    """The names given, or A, B, C …, or 001, 002 … when letters run out. Raises DataError for a bad count or name."""
    counts = {"names": len(plan.names), "sizes": len(plan.sizes), "proportions": len(plan.proportions)}
    given = {count for count in counts.values() if count}
    if len(given) > 1:
        listed = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        raise DataError(f"the numbers of hospitals do not agree: {listed}.", where="partition", hint="Give as many of each.")
    count = given.pop() if given else plan.hospitals
    if not MIN_HOSPITALS <= count <= MAX_HOSPITALS:
        raise DataError(f"{count} hospitals are out of range.", where="partition", hint="Choose 2 to 1,000.")
    names = plan.names or tuple(LETTERS[:count] if count <= len(LETTERS) else (f"{number:03d}" for number in range(1, count + 1)))
    for name in names:
        if not HOSPITAL_NAME.fullmatch(name) or names.count(name) > 1:
            raise DataError(
                f"{name[:40]!r} cannot name a hospital, or names two.",
                where="partition",
                hint="Use letters, digits, '.', '_' and '-', at most 40, each name once.",
            )
    return names


def _targets(total: int, plan: PartitionData, count: int) -> list[int]:
    """Pairs each hospital is to have: even, or by the sizes or proportions of a quantity skew."""
    if plan.strategy != "quantity":
        return _rounded([1 / count] * count, total)
    if bool(plan.sizes) == bool(plan.proportions):
        raise DataError("a quantity skew needs sizes or proportions.", where="partition", hint="Give one of the two.")
    if plan.proportions:
        if any(not 0 < share < float("inf") for share in plan.proportions):
            raise DataError("a proportion must be above 0.", where="partition", hint="For example 45, 25 and 30.")
        whole = sum(plan.proportions)
        targets = _rounded([share / whole for share in plan.proportions], total)
    else:
        targets = list(plan.sizes)
    if min(targets) < MIN_PAIRS or sum(targets) > total:
        raise DataError(
            f"{', '.join(f'{target:,}' for target in targets[:8])} pairs cannot be had from {total:,}.",
            where="partition",
            hint=f"Each hospital needs at least {MIN_PAIRS}, all together at most {total:,}.",
        )
    return targets


def _by_pair(pairs: Sequence[Pair], plan: PartitionData, targets: list[int]) -> list[int | None]:
    """In hash order, which is as good as chance, the first pairs go to the first hospital, the next to the second …"""
    order = sorted(range(len(pairs)), key=lambda at: _hash(plan.options.seed, pairs[at].id))
    owners: list[int | None] = [None] * len(pairs)
    dealt = [owner for owner, target in enumerate(targets) for _ in range(target)]
    for at, owner in zip(order, dealt, strict=False):
        owners[at] = owner
    return owners


def _by_topic(pairs: Sequence[Pair], plan: PartitionData, targets: list[int]) -> list[int | None]:
    """Each topic, in hash order, to the hospital that is furthest from its target; no topic is cut unless sizes say so."""
    topics = _topics(pairs)
    room = [(-target, owner) for owner, target in enumerate(targets)]
    heapq.heapify(room)
    owners: list[int | None] = [None] * len(pairs)
    for topic in sorted(topics, key=lambda topic: _hash(plan.options.seed, topic)):
        missing, owner = heapq.heappop(room)
        taken = topics[topic][: max(0, -missing)] if plan.sizes else topics[topic]
        for at in taken:
            owners[at] = owner
        heapq.heappush(room, (missing + len(taken), owner))
    return owners


def _dirichlet(pairs: Sequence[Pair], plan: PartitionData, count: int) -> list[int | None]:
    """Each topic's pairs in proportions drawn from a symmetric Dirichlet (Hsu, Qi and Brown 2019, over topics)."""
    if plan.whole_topics:
        raise DataError(
            "a Dirichlet partition divides topics, so it cannot keep them whole.",
            where="partition",
            hint="Use iid or quantity with whole topics.",
        )
    if not 0.001 <= plan.alpha <= 1_000_000:
        raise DataError(f"alpha {plan.alpha} is out of range.", where="partition", hint="Choose 0.001 to 1,000,000.")
    if not any(pair.topic for pair in pairs):
        raise DataError("the pairs have no topics.", where=plan.source, hint="Name their field with --topic-field.")
    topics, seed = _topics(pairs), plan.options.seed
    stream = np.random.RandomState(seed)
    owners: list[int | None] = [None] * len(pairs)
    for topic in sorted(topics):
        members = sorted(topics[topic], key=lambda at: _hash(seed, pairs[at].id))
        ends = np.cumsum(_draw(stream, plan.alpha, count))
        places = (np.arange(len(members)) + stream.random_sample()) / len(members) * ends[-1]
        for at, owner in zip(members, np.searchsorted(ends, places, side="right"), strict=True):
            owners[at] = min(int(owner), count - 1)
    _feed_the_smallest(pairs, owners, count)
    return owners


def _draw(stream: np.random.RandomState, alpha: float, count: int) -> np.ndarray:
    """One Dirichlet draw, rounded so that the last bits of a machine's logarithm do not matter. (count,)"""
    shares = np.round(stream.dirichlet([alpha] * count), 9)
    if np.isfinite(shares).all() and shares.sum() > 0:
        return shares
    shares = np.zeros(count)  # with a tiny alpha every gamma draw can vanish: then one hospital has it all
    shares[stream.randint(count)] = 1.0
    return shares


def _feed_the_smallest(pairs: Sequence[Pair], owners: list[int | None], count: int) -> None:
    """Give a hospital that came away with too little pairs of other topics from the largest one."""
    held: dict[int, list[int]] = defaultdict(list)
    for at, owner in enumerate(owners):
        if owner is not None:
            held[owner].append(at)
    for poor in range(count):
        while len({pairs[at].topic for at in held[poor]}) < MIN_PAIRS:
            rich = max(range(count), key=lambda owner: (len(held[owner]), -owner))
            topics = Counter(pairs[at].topic for at in held[poor])
            spare = next((at for at in reversed(held[rich]) if pairs[at].topic not in topics), None)
            if spare is None or rich == poor:
                return  # too few topics for this many hospitals: the splits will say so
            held[rich].remove(spare)
            held[poor].append(spare)
            owners[spare] = poor


def _topics(pairs: Sequence[Pair]) -> dict[str, list[int]]:
    """Positions of the pairs of each topic; a pair without one is a topic of its own."""
    topics: dict[str, list[int]] = defaultdict(list)
    for at, pair in enumerate(pairs):
        topics[pair.topic.lower() or f"\x00{pair.id}"].append(at)
    return topics


def _rounded(shares: Sequence[float], total: int) -> list[int]:
    """Whole numbers in these proportions that sum to `total`: largest remainders first."""
    exact = [share * total for share in shares]
    counts = [int(value) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda at: (counts[at] - exact[at], at))
    for at in by_remainder[: total - sum(counts)]:
        counts[at] += 1
    return counts


def _hash(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed}:{text}".encode()).hexdigest()
