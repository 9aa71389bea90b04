"""The part of the protocol that is about data: importing, partitioning, checking and looking at pairs.

`engine.protocol` gathers these with all other messages; import them from there.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from engine.messages import Command, Event

Strategy = Literal["natural", "dirichlet", "iid", "quantity"]
REFERENCE_SIZES = {"A": 4520, "B": 2521, "C": 2959}
"""Pairs per hospital of the reference configuration, out of MedQuAD."""
LENGTH_BIN = 5
"""Words per bar of a length histogram."""


# --- commands: screen → engine -------------------------------------------------------------------------------------------------


class DescribeData(Command, frozen=True, kw_only=True):
    """Ask for every partition in a folder. Answered by one `PartitionDescribed` per hospital."""

    job: str
    folder: str = "sample"
    examples: int = 5


class FieldMapping(Struct, frozen=True, kw_only=True):
    """Which field of a source holds what. An empty name is guessed from the field names of the source."""

    question: str = ""
    answer: str = ""
    topic: str = ""
    kind: str = ""
    split: str = ""
    id: str = ""


class SourceOptions(Struct, frozen=True, kw_only=True):
    """How a source of pairs is read, whatever becomes of the pairs."""

    mapping: FieldMapping = FieldMapping()
    encoding: str = ""
    """Of a text file, as Python names it; empty is UTF-8, or what its byte-order mark says."""
    licence: str = ""
    """Written into the manifests; empty is what the source says of itself."""
    allow_rejects: bool = False
    """Import although more than 5 % of the rows cannot be used."""
    deidentify: bool = False
    """Replace identifying text (names, dates of birth, phone numbers …) with typed placeholders."""
    seed: int = 0
    """Of the splits and of the partition strategy."""


class PreviewSource(Command, frozen=True, kw_only=True):
    """Look at a source before importing it. Answered by one `SourcePreviewed`."""

    job: str
    source: str
    options: SourceOptions = SourceOptions()


class ImportData(Command, frozen=True, kw_only=True):
    """Import pairs into one partition per hospital, under `target`, replacing what is there.

    Which hospital a pair belongs to: `hospital` when given (all of them), else the value of `hospital_field`, else what the
    source itself knows (MedQuAD), else a field whose name says so. Answered by `PartitionDescribed` per hospital and one
    `ImportFinished`; `RejectsFound` comes before them when rows could not be used.
    """

    job: str
    source: str
    """A file, an archive, a folder, or the id of a data set on the Hugging Face hub."""
    hospital_field: str = ""
    target: str = "data/processed"
    hospital: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    """Pairs to keep per hospital; a hospital that is not named keeps all."""
    options: SourceOptions = SourceOptions()


class PartitionData(Command, frozen=True, kw_only=True):
    """Share the pairs of a source (or of existing partitions) out among hospitals. Answered as `ImportData` is."""

    job: str
    source: str
    target: str = "data/processed"
    strategy: Strategy = "iid"
    """`natural` by the value of `field`; `dirichlet` over topics; `iid`; `quantity` by `sizes` or `proportions`."""
    hospitals: int = 3
    """2 to 1,000; `names`, `sizes` and `proportions` go before it."""
    names: tuple[str, ...] = ()
    field: str = ""
    alpha: float = 0.5
    """Dirichlet concentration: small is uneven, large is even."""
    sizes: tuple[int, ...] = ()
    proportions: tuple[float, ...] = ()
    whole_topics: bool = False
    """Keep every topic at one hospital."""
    options: SourceOptions = SourceOptions()


class CompareHospitals(Command, frozen=True, kw_only=True):
    """Measure how different the hospitals of a folder are. Answered by one `HospitalsCompared`."""

    job: str
    folder: str = "sample"


class CheckOverlap(Command, frozen=True, kw_only=True):
    """Look for duplicates within hospitals, across splits and across hospitals. Answered by one `OverlapMeasured`."""

    job: str
    folder: str = "sample"
    threshold: float = 0.8
    """Jaccard similarity from which two pairs count as near duplicates."""
    salt: str = ""
    """The secret that the hospitals share and the coordinator does not hold; empty makes a new one."""
    sketches: tuple[str, ...] = ()
    """Files that hospitals made with `SketchPairs`, to be compared instead of the folder."""


class SketchPairs(Command, frozen=True, kw_only=True):
    """Write one hospital's keyed hashes to a file, for a coordinator that looks for copies without seeing text.

    Answered by one `SketchesWritten`.
    """

    job: str
    folder: str = "sample"
    hospital: str
    salt: str
    target: str


class ScanPhi(Command, frozen=True, kw_only=True):
    """Look for identifying text in every partition of a folder. Answered by one `PhiScanned` per hospital."""

    job: str
    folder: str = "sample"
    hospital: str = ""
    """Only this one; empty is every hospital."""


class ReportData(Command, frozen=True, kw_only=True):
    """Write the data sheet of a folder, Markdown and JSON. Answered by one `DataReported`."""

    job: str
    folder: str = "sample"
    target: str = "data/report"


class BrowsePairs(Command, frozen=True, kw_only=True):
    """One page of a hospital's pairs, for the person who owns them. Answered by one `PairsPage`."""

    job: str
    folder: str = "sample"
    hospital: str
    query: str = ""
    """Only pairs with all these words somewhere in question, answer, topic or kind, in any case."""
    offset: int = 0
    limit: int = 100


# --- events: engine → screen ---------------------------------------------------------------------------------------------------


class PairExample(Struct, frozen=True, kw_only=True):
    """One pair for the Data screen of the person who owns the partition."""

    question: str
    answer: str
    topic: str
    split: str


class PartitionDescribed(Event, frozen=True, kw_only=True):
    """One hospital's partition in numbers, with a few of its pairs."""

    job: str
    hospital: str
    folder: str
    train: int
    validation: int
    test: int
    topics: int
    answer_words: int
    """Mean words per answer."""
    kinds: dict[str, int]
    """Pairs by kind of question."""
    top_topics: dict[str, int]
    examples: tuple[PairExample, ...]
    tokens: int = 0
    """Tokens in questions and answers, by the bundled model's tokenizer; 0 until that model has been prepared once."""
    answer_lengths: tuple[int, ...] = ()
    """Answers of 0-4 words, 5-9 words and so on (`LENGTH_BIN`); the last bin holds all longer ones."""
    source: str = ""
    licence: str = ""

    @property
    def pairs(self) -> int:
        """All pairs of the partition."""
        return self.train + self.validation + self.test


class SourcePreviewed(Event, frozen=True, kw_only=True):
    """What a source looks like and how its fields would be understood."""

    job: str
    source: str
    kind: str
    """In words: `JSON lines, gzip`, `CSV, separated by ;`, `MedQuAD archive` …"""
    fields: tuple[str, ...]
    mapping: FieldMapping
    """The names given, and the guesses for the rest; an empty name means that nothing fits."""
    hospital_field: str
    """The field that seems to name the hospital, or empty."""
    hospitals: dict[str, int]
    """Pairs by hospital among the rows looked at."""
    rows: int
    """Rows looked at."""
    usable: int
    examples: tuple[PairExample, ...]


class Reject(Struct, frozen=True, kw_only=True):
    """One row that cannot be used. Its text is not repeated: it may be somebody's."""

    line: int
    field: str
    reason: str


class RejectsFound(Event, frozen=True, kw_only=True):
    """Some rows cannot be used; all of them are in `file`."""

    job: str
    rejected: int
    rows: int
    too_many: bool
    """More than 5 %: the import stops unless rejects were allowed."""
    file: str
    reasons: dict[str, int]
    examples: tuple[Reject, ...]


class ImportFinished(Event, frozen=True, kw_only=True):
    """Every partition is on disk. Counts are pairs."""

    job: str
    source: str
    kind: str
    mapping: FieldMapping
    """How the fields were understood."""
    hospital_field: str
    target: str
    rows: int
    kept: int
    rejected: int
    dropped: dict[str, int]
    """Left out on purpose, by reason."""
    cleaned: dict[str, int]
    """Texts changed, by reason."""
    deidentified: dict[str, int]
    """Findings replaced, by kind."""
    hospitals: dict[str, int]
    seconds: float


class HospitalCharacter(Struct, frozen=True, kw_only=True):
    """One hospital in a comparison."""

    hospital: str
    pairs: int
    topics: int
    vocabulary: int
    """Distinct words."""
    answer_words: tuple[int, int, int, int, int]
    """Words per answer: 5th, 25th, 50th, 75th and 95th percentile."""


class HospitalsCompared(Event, frozen=True, kw_only=True):
    """How different the hospitals are. Matrices are in the order of `hospitals`: the 30 largest, when there are more."""

    job: str
    folder: str
    hospitals: tuple[HospitalCharacter, ...]
    topic_distance: tuple[tuple[float, ...], ...]
    """Jensen-Shannon distance (base 2) of the topic distributions: 0 the same, 1 no topic in common; empty without topics."""
    vocabulary_overlap: tuple[tuple[float, ...], ...]
    """Jaccard similarity of the sets of words: 1 the same, 0 no word in common."""
    total_hospitals: int
    topic_divergence: float | None
    """Over all hospitals: generalized Jensen-Shannon divergence as a share of its largest value, 0 to 1; None without topics."""


class OverlapCell(Struct, frozen=True, kw_only=True):
    """Two hospitals (or one twice) that have pairs in common."""

    hospital: str
    other: str
    exact: int
    """Pairs of `hospital` that `other` has word for word (another copy, when they are the same hospital)."""
    near: int
    """Pairs of `hospital` with a near duplicate, but no exact one, at `other`."""


class SplitLeak(Struct, frozen=True, kw_only=True):
    """Held-out pairs of a hospital that come back in training data: its held-out loss is flattered by them."""

    hospital: str
    own: int
    """Held-out pairs with a duplicate or near duplicate among its own training pairs."""
    others: int
    """The same among other hospitals' training pairs."""
    held_out: int


class NearPair(Struct, frozen=True, kw_only=True):
    """Two pairs of one hospital that are duplicates, for its owner."""

    hospital: str
    first: str
    second: str
    similarity: float


class OverlapMeasured(Event, frozen=True, kw_only=True):
    """Duplicates found. Across hospitals only keyed hashes were compared."""

    job: str
    folder: str
    threshold: float
    pairs: dict[str, int]
    """By hospital."""
    cells: tuple[OverlapCell, ...]
    """Only those that are not zero."""
    leaks: tuple[SplitLeak, ...]
    examples: tuple[NearPair, ...]
    seconds: float


class SketchesWritten(Event, frozen=True, kw_only=True):
    """A hospital's keyed hashes are in `file`."""

    job: str
    hospital: str
    pairs: int
    file: str


class PhiFinding(Struct, frozen=True, kw_only=True):
    """One piece of identifying text, masked."""

    pair: str
    field: str
    kind: str
    masked: str


class PhiScanned(Event, frozen=True, kw_only=True):
    """Identifying text in one hospital's pairs."""

    job: str
    hospital: str
    pairs: int
    affected: int
    """Pairs with at least one finding."""
    findings: dict[str, int]
    """By kind."""
    names: bool
    """Names of people and places were looked for too: that needs the optional `phi` extra."""
    examples: tuple[PhiFinding, ...]


class DataReported(Event, frozen=True, kw_only=True):
    """The data sheet is written."""

    job: str
    markdown: str
    json: str


class BrowsedPair(Struct, frozen=True, kw_only=True):
    """A pair in the browser."""

    id: str
    question: str
    answer: str
    topic: str
    kind: str
    split: str


class PairsPage(Event, frozen=True, kw_only=True):
    """Pairs `offset` to `offset + len(pairs)` of the `matches` that fit the query."""

    job: str
    hospital: str
    query: str
    total: int
    matches: int
    offset: int
    pairs: tuple[BrowsedPair, ...]
