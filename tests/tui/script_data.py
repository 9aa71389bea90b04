"""What the fake engine says when it is asked for data work: a made-up source of 250 pairs a hospital."""

from __future__ import annotations

from collections.abc import Iterator

import script

from engine.protocol import (
    AnyCommand,
    AnyEvent,
    BrowsedPair,
    BrowsePairs,
    CheckOverlap,
    CompareHospitals,
    Failure,
    FieldMapping,
    HospitalCharacter,
    HospitalsCompared,
    ImportData,
    ImportFinished,
    NearPair,
    OverlapCell,
    OverlapMeasured,
    PairExample,
    PairsPage,
    PartitionData,
    PhiFinding,
    PhiScanned,
    PreviewSource,
    Progress,
    Reject,
    RejectsFound,
    ScanPhi,
    SourcePreviewed,
    SplitLeak,
)

COMMANDS = (BrowsePairs, CheckOverlap, CompareHospitals, ImportData, PartitionData, PreviewSource, ScanPhi)
HOSPITALS = ("A", "B", "C")
PAIRS = 250
"""Pairs of a hospital in the browser."""
MISSING, BAD_ROWS, ENDLESS = "missing.csv", "bad.csv", "endless.csv"
"""Sources that are not there, whose rows cannot be used for the most part, and whose import never ends."""
FIELDS = ("Question", "Response", "Condition", "Clinic")
MAPPING = FieldMapping(question="Question", answer="Response", topic="Condition")


def answer(command: AnyCommand) -> Iterator[AnyEvent]:
    """What the engine says to a data command, without the `JobFinished` at the end."""
    match command:
        case BrowsePairs():
            yield page(command)
        case PreviewSource():
            yield _failure(command.job, "there is no such file.") if command.source == MISSING else preview(command)
        case ImportData() | PartitionData():
            yield from _bring_in(command)
        case CheckOverlap():
            yield Progress(job=command.job, what="comparing", done=1, total=2)
            yield overlap(command.job)
        case CompareHospitals():
            yield comparison(command.job)
        case ScanPhi():
            for name in HOSPITALS:
                yield Progress(job=command.job, what=f"scanning {name}", done=50, total=100)
                yield phi(name, command.job)


def pair(hospital: str, at: int) -> BrowsedPair:
    """One pair; every tenth is about gout."""
    about = "gout" if at % 10 == 0 else "asthma"
    return BrowsedPair(
        id=f"{hospital}-{at}",
        question=f"Question {at} of {hospital}, about {about}?",
        answer=f"Answer {at}: {about} is explained here.",
        topic=about,
        kind="overview",
        split=("train", "validation", "test")[at % 3],
    )


def page(command: BrowsePairs) -> PairsPage:
    """The pairs that hold the query."""
    fitting = [
        one for one in (pair(command.hospital, at) for at in range(PAIRS)) if command.query.lower() in one.question.lower()
    ]
    shown = tuple(fitting[command.offset : command.offset + command.limit])
    return PairsPage(
        job=command.job,
        hospital=command.hospital,
        query=command.query,
        total=PAIRS,
        matches=len(fitting),
        offset=command.offset,
        pairs=shown,
    )


def preview(command: PreviewSource) -> SourcePreviewed:
    """A file whose fields have names that can be guessed."""
    return SourcePreviewed(
        job=command.job,
        source=command.source,
        kind="CSV, separated by ;",
        fields=FIELDS,
        mapping=MAPPING,
        hospital_field="Clinic",
        hospitals={"North": 120, "South": 80},
        rows=200,
        usable=198,
        examples=(PairExample(question="What is gout?", answer="A disease of the joints.", topic="gout", split=""),),
    )


def overlap(job: str = "data-9") -> OverlapMeasured:
    """Copies at A and between A and B."""
    return OverlapMeasured(
        job=job,
        folder="sample",
        threshold=0.8,
        pairs=dict.fromkeys(HOSPITALS, PAIRS),
        cells=(
            OverlapCell(hospital="A", other="A", exact=2, near=4),
            OverlapCell(hospital="A", other="B", exact=7, near=13),
            OverlapCell(hospital="B", other="A", exact=7, near=11),
        ),
        leaks=tuple(SplitLeak(hospital=name, own=1, others=3, held_out=56) for name in HOSPITALS),
        examples=(NearPair(hospital="A", first="A-3", second="A-17", similarity=0.91),),
        seconds=1.2,
    )


def comparison(job: str = "data-9") -> HospitalsCompared:
    """Three hospitals that are unlike each other."""
    apart = ((0.0, 0.81, 0.92), (0.81, 0.0, 0.77), (0.92, 0.77, 0.0))
    return HospitalsCompared(
        job=job,
        folder="sample",
        hospitals=tuple(
            HospitalCharacter(hospital=name, pairs=PAIRS, topics=40, vocabulary=3000, answer_words=(20, 40, 61, 90, 130))
            for name in HOSPITALS
        ),
        topic_distance=apart,
        vocabulary_overlap=tuple(tuple(round(1 - one / 2, 2) for one in row) for row in apart),
        total_hospitals=3,
        topic_divergence=0.7,
    )


def phi(hospital: str, job: str = "data-9") -> PhiScanned:
    """A few findings; the name model is absent."""
    return PhiScanned(
        job=job,
        hospital=hospital,
        pairs=PAIRS,
        affected=9,
        findings={"PHONE": 7, "PERSON": 3},
        names=False,
        examples=(PhiFinding(pair=f"{hospital}-4", field="answer", kind="PHONE", masked="0••••••••1"),),
    )


def _bring_in(command: ImportData | PartitionData) -> Iterator[AnyEvent]:
    yield Progress(job=command.job, what=f"reading {command.source}", done=1, total=4)
    while command.source == ENDLESS:
        yield Progress(job=command.job, what=f"reading {command.source}", done=2, total=4)
    if command.source == BAD_ROWS:
        yield _rejects(command)
        if not command.options.allow_rejects:
            yield _failure(command.job, "40 of 200 rows cannot be used.")
            return
    for name in HOSPITALS:
        yield script.partition(name, command.job)
    yield ImportFinished(
        job=command.job,
        source=command.source,
        kind="CSV, separated by ;",
        mapping=command.options.mapping,
        hospital_field="Clinic",
        target=command.target,
        rows=200,
        kept=180,
        rejected=0,
        dropped={"exact duplicate": 20},
        cleaned={},
        deidentified={},
        hospitals=dict.fromkeys(HOSPITALS, 60),
        seconds=1.5,
    )


def _rejects(command: ImportData | PartitionData) -> RejectsFound:
    return RejectsFound(
        job=command.job,
        rejected=40,
        rows=200,
        too_many=not command.options.allow_rejects,
        file="data/processed-rejects.jsonl",
        reasons={"the answer is empty": 40},
        examples=(Reject(line=7, field="Response", reason="the answer is empty"),),
    )


def _failure(job: str, message: str) -> Failure:
    return Failure(job=job, title="Data", message=message, where="", hint="Check it.")
