"""The data sheet of a folder of partitions: where the pairs come from, how they are divided, what is shared, what identifies."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import msgspec

from engine import locations
from engine.data import store
from engine.data.compare import compare
from engine.data.overlap import check_overlap
from engine.data.partition import describe, find_partitions
from engine.errors import DataError
from engine.files import write_atomically
from engine.plain_text import markdown_cell
from engine.protocol import (
    CheckOverlap,
    DataReported,
    HospitalsCompared,
    OverlapMeasured,
    PartitionDescribed,
    PhiScanned,
    Progress,
    ReportData,
    ScanPhi,
)

NOT_STATED = "not stated"


@dataclass
class DataSheet:
    """Everything that was measured, as the events that said it."""

    name: str
    manifests: dict[str, store.Manifest]
    partitions: list[PartitionDescribed] = field(default_factory=list)
    compared: HospitalsCompared | None = None
    overlap: OverlapMeasured | None = None
    phi: list[PhiScanned] = field(default_factory=list)

    def take(self, event: object) -> None:
        """Keep an event that belongs in the sheet; text of pairs does not."""
        match event:
            case PartitionDescribed():
                self.partitions.append(msgspec.structs.replace(event, examples=()))
            case HospitalsCompared():
                self.compared = event
            case OverlapMeasured():
                self.overlap = msgspec.structs.replace(event, examples=())
            case PhiScanned():
                self.phi.append(msgspec.structs.replace(event, examples=()))


def report(command: ReportData) -> Generator[Progress | DataReported | None, None, None]:
    """Measure a folder and write its sheet as `NAME.md` and `NAME.json` under `command.target`.

    Raises:
        DataError: a partition cannot be read. RunError: the sheet cannot be written.
    """
    from engine.data.phi.scan import scan  # its libraries take seconds to load

    folder = locations.data_folder(command.folder)
    sheet = DataSheet(name=folder.name, manifests={})
    jobs = (
        describe(command.job, folder, 0),
        compare(command.job, folder),
        check_overlap(CheckOverlap(job=command.job, folder=command.folder)),
        scan(ScanPhi(job=command.job, folder=command.folder)),
    )
    for job in jobs:
        for event in job:
            sheet.take(event)
            yield event if isinstance(event, Progress) else None
    sheet.manifests = {name: store.read_manifest(path) for name, path in find_partitions(folder).items() if path.is_dir()}
    target = locations.data_folder(command.target)
    markdown, facts = target / f"{sheet.name}.md", target / f"{sheet.name}.json"
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot be made: {error.strerror}.", where=str(target), hint="Choose another folder.") from None
    write_atomically(facts, msgspec.json.format(msgspec.json.encode(sheet), indent=2) + b"\n")
    write_atomically(markdown, to_markdown(sheet).encode())
    yield DataReported(job=command.job, markdown=str(markdown), json=str(facts))


def to_markdown(sheet: DataSheet) -> str:
    """The sheet as a document."""
    parts = [
        f"# Data sheet: {markdown_cell(sheet.name)}",
        *_origin(sheet),
        *_sizes(sheet),
        *_differences(sheet),
        *_overlap(sheet),
        *_phi(sheet),
    ]
    return "\n\n".join(parts) + "\n"


def _origin(sheet: DataSheet) -> list[str]:
    rows = []
    for partition in sheet.partitions:
        manifest = sheet.manifests.get(partition.hospital)
        digest = manifest.source_sha256[:16] if manifest and manifest.source_sha256 else "—"
        rows.append(
            [
                partition.hospital,
                partition.source or "JSON lines in the folder",
                partition.licence or NOT_STATED,
                digest,
                manifest.partition if manifest else "as in the file names",
                "yes" if manifest and manifest.deidentified else "no",
            ]
        )
    header = ["hospital", "source", "licence", "sha256 of the source", "divided", "de-identified"]
    known = sheet.manifests.values()
    rules = sorted({f"Splits: {markdown_cell(one.split_rule)} (seed {one.seed})." for one in known})
    return ["## Origin", _table(header, rows), *rules]


def _sizes(sheet: DataSheet) -> list[str]:
    rows = [
        [one.hospital, *map(_count, (_pairs(one), one.train, one.validation, one.test, one.topics, one.answer_words, one.tokens))]
        for one in sheet.partitions
    ]
    header = ["hospital", "pairs", "train", "validation", "test", "topics", "mean words per answer", "tokens (0: not counted)"]
    return ["## Sizes", _table(header, rows)]


def _differences(sheet: DataSheet) -> list[str]:
    compared = sheet.compared
    if compared is None or compared.total_hospitals < 2:
        return []
    names = [one.hospital for one in compared.hospitals]
    lengths = [[one.hospital, _count(one.vocabulary), *map(_count, one.answer_words)] for one in compared.hospitals]
    topics = ["The pairs name no topic: how different the hospitals' topics are cannot be told."]
    if compared.topic_divergence is not None:
        topics = [
            f"How much a pair's topic says about its hospital: {compared.topic_divergence:.3f} (0 nothing, 1 everything).",
            "Jensen-Shannon distance of the topics (0 the same, 1 none in common):",
            _matrix(names, compared.topic_distance),
        ]
    return [
        "## Differences between hospitals",
        *topics,
        "Vocabulary in common (Jaccard, 1 the same words):",
        _matrix(names, compared.vocabulary_overlap),
        "Words per answer, by percentile:",
        _table(["hospital", "distinct words", "5 %", "25 %", "50 %", "75 %", "95 %"], lengths),
    ]


def _overlap(sheet: DataSheet) -> list[str]:
    overlap = sheet.overlap
    if overlap is None:
        return []
    cells = [[cell.hospital, cell.other, _count(cell.exact), _count(cell.near)] for cell in overlap.cells]
    leaks = [[one.hospital, _count(one.held_out), _count(one.own), _count(one.others)] for one in overlap.leaks]
    return [
        "## Overlap",
        f"Near duplicates have an estimated Jaccard similarity of at least {overlap.threshold:g} (three-word runs, MinHash). "
        "Across hospitals only keyed hashes were compared.",
        _table(["hospital", "shared with", "exact", "near"], cells) if cells else "No pair has a copy.",
        "Held-out pairs that come back in training pairs, of the same hospital and of others:",
        _table(["hospital", "held out", "in its own training", "in others' training"], leaks),
    ]


def _phi(sheet: DataSheet) -> list[str]:
    kinds = sorted({kind for one in sheet.phi for kind in one.findings})
    rows = [
        [one.hospital, f"{_count(one.affected)} of {_count(one.pairs)}", *(_count(one.findings.get(kind, 0)) for kind in kinds)]
        for one in sheet.phi
    ]
    names = "Names were looked for." if all(one.names for one in sheet.phi) else "Names were looked for by title and cue only."
    return [
        "## Identifying text",
        f"Counted by pattern recognisers (Presidio and this project's). {names} A scan can miss things and can be wrong: "
        "it does not make data anonymous.",
        _table(["hospital", "pairs with findings", *kinds], rows),
    ]


def _matrix(names: Sequence[str], values: Sequence[Sequence[float]]) -> str:
    rows = [[name, *(f"{value:.2f}" for value in row)] for name, row in zip(names, values, strict=True)]
    return _table(["", *names], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(markdown_cell(cell) for cell in line) + " |" for line in lines)


def _count(value: int) -> str:
    return f"{value:,}"


def _pairs(one: PartitionDescribed) -> int:
    return one.train + one.validation + one.test
