"""What crossed between hospitals and coordinator, from the ledger, and what hospitals have in common, counted anew."""

from __future__ import annotations

from msgspec.structs import replace

from engine.benchmark import recorded
from engine.benchmark.results import Leak, Overlap, Privacy
from engine.benchmark.suite import Item, Measuring, NotMeasured, Subject, Tick
from engine.data.overlap import check_overlap
from engine.errors import DataError
from engine.protocol import CheckOverlap, OverlapMeasured

COUNTING = "counting duplicates"
WORK_PER_PAIR = 0.5
"""Comparing a pair takes about as long as training on half a token."""


def items(subject: Subject) -> list[Item]:
    """See `measure`."""
    pairs = sum(hospital.train + hospital.validation + hospital.test for hospital in subject.record.hospitals)
    return [Item(COUNTING, WORK_PER_PAIR * pairs)]


def measure(subject: Subject) -> Measuring[Privacy]:
    """The ledger's page of each round; duplicates where the data can still be read. Raises NotMeasured without hospitals."""
    section = recorded.privacy(subject.record)
    if section is None:
        raise NotMeasured("the record of the run names no hospitals.", where=subject.request.run)
    try:
        counted = yield from _overlap(subject)
    except DataError:  # the data moved away: what crossed is known all the same
        return section
    return replace(
        section,
        overlap=tuple(Overlap(hospital=one.hospital, other=one.other, exact=one.exact, near=one.near) for one in counted.cells),
        leaks=tuple(Leak(hospital=one.hospital, held_out=one.held_out, own=one.own, others=one.others) for one in counted.leaks),
        overlap_threshold=counted.threshold,
    )


def _overlap(subject: Subject) -> Measuring[OverlapMeasured]:
    folder, stages = subject.config.data.folder, list[str]()  # each hospital is sketched, then all are matched
    for event in check_overlap(CheckOverlap(job=subject.request.job, folder=folder)):
        if isinstance(event, OverlapMeasured):
            return event
        if event.what not in stages:
            stages.append(event.what)
        within = event.done / event.total if event.total else 0.0
        yield Tick(COUNTING, min(1.0, (len(stages) - 1 + within) / (len(subject.names) + 1)))
    raise AssertionError("check_overlap ends with its counts")
