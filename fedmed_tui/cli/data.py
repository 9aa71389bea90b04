"""`fedmed-tui data …`: import, partition, look at and check data without a screen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from engine.errors import FedMedError, SettingsError
from engine.protocol import (
    REFERENCE_SIZES,
    AnyCommand,
    AnyEvent,
    BrowsePairs,
    CheckOverlap,
    CompareHospitals,
    DescribeData,
    FieldMapping,
    ImportData,
    PartitionData,
    PreviewSource,
    RejectsFound,
    ReportData,
    ScanPhi,
    SketchPairs,
    SourceOptions,
    SourcePreviewed,
    Stamped,
    Strategy,
)
from fedmed_tui.cli import CANCELLED, DONE
from fedmed_tui.cli.data_text import print_events, print_preview, print_rejects
from fedmed_tui.cli.output import event_output
from fedmed_tui.cli.session import run_job

data_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Import, partition, look at and check data.")
JOB = "data"

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="A file, archive or folder, `sample`, or a hub id: owner/name.")]
Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="`sample`, or a folder with one partition per hospital.")]
Target = Annotated[str, typer.Option(metavar="FOLDER", help="Where the partitions go; what is there is replaced.")]
QuestionField = Annotated[str, typer.Option(metavar="FIELD", help="Field with the question, else guessed. `a + b` joins.")]
AnswerField = Annotated[str, typer.Option(metavar="FIELD", help="Field with the answer.")]
TopicField = Annotated[str, typer.Option(metavar="FIELD", help="Field with the topic; a topic never crosses splits.")]
KindField = Annotated[str, typer.Option(metavar="FIELD", help="Field with the kind of question.")]
SplitField = Annotated[str, typer.Option(metavar="FIELD", help="Field with train, validation or test.")]
IdField = Annotated[str, typer.Option(metavar="FIELD", help="Field with an id.")]
Encoding = Annotated[str, typer.Option(help="Of a text file, e.g. cp1252.", show_default="utf-8")]
Licence = Annotated[str, typer.Option(help="Written into the manifests.", show_default="as the source says")]
AllowRejects = Annotated[bool, typer.Option("--allow-rejects", help="Go on when more than 5 % of the rows cannot be used.")]
Deidentify = Annotated[bool, typer.Option("--deidentify", help="Replace names, dates of birth, numbers … with placeholders.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the splits and of the strategy.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Standard output is the engine's events, one a line.")]
SaltFile = Annotated[Path, typer.Option(metavar="FILE", help="The secret the hospitals share.")]


@data_app.command("import")
def import_(
    source: Source,
    *,
    hospital_field: Annotated[str, typer.Option(metavar="FIELD", help="Field that says which hospital a pair is of.")] = "",
    hospital: Annotated[str, typer.Option(metavar="NAME", help="All pairs are of this hospital.")] = "",
    sizes: Annotated[
        str, typer.Option(metavar="A=N,B=N", help="Pairs to keep per hospital; `reference` is 4520/2521/2959 of MedQuAD.")
    ] = "",
    target: Target = "data/processed",
    question_field: QuestionField = "",
    answer_field: AnswerField = "",
    topic_field: TopicField = "",
    kind_field: KindField = "",
    split_field: SplitField = "",
    id_field: IdField = "",
    encoding: Encoding = "",
    licence: Licence = "",
    allow_rejects: AllowRejects = False,
    deidentify: Deidentify = False,
    seed: Seed = 0,
    yes: Yes = False,
    as_json: AsJson = False,
) -> int:
    """Turn a source into one partition per hospital.

    Reads JSON lines, a JSON array, CSV, TSV, Parquet, a saved data set, a hub id, or a MedQuAD archive; plain or gzip.
    """
    mapping = FieldMapping(
        question=question_field, answer=answer_field, topic=topic_field, kind=kind_field, split=split_field, id=id_field
    )
    options = SourceOptions(
        mapping=mapping, encoding=encoding, licence=licence, allow_rejects=allow_rejects, deidentify=deidentify, seed=seed
    )
    command = ImportData(
        job=JOB,
        source=source,
        hospital_field=hospital_field,
        hospital=hospital,
        sizes=_sizes(sizes),
        target=target,
        options=options,
    )
    return _import(command, ask=not (yes or as_json), as_json=as_json)


@data_app.command()
def partition(
    source: Source,
    *,
    strategy: Annotated[
        Strategy, typer.Option(help="natural: by --field. dirichlet: over topics. iid: at random. quantity: given amounts.")
    ] = "iid",
    hospitals: Annotated[int, typer.Option(min=2, max=1000, help="How many.")] = 3,
    names: Annotated[str, typer.Option(metavar="A,B,C", help="What they are called.")] = "",
    field: Annotated[str, typer.Option(metavar="FIELD", help="For natural: the field that says which hospital.")] = "",
    alpha: Annotated[float, typer.Option(help="For dirichlet: 0.1 is very uneven, 100 is even.")] = 0.5,
    sizes: Annotated[str, typer.Option(metavar="N,N", help="For quantity: pairs per hospital.")] = "",
    proportions: Annotated[str, typer.Option(metavar="45,25,30", help="For quantity: shares.")] = "",
    whole_topics: Annotated[bool, typer.Option("--whole-topics", help="Keep every topic at one hospital.")] = False,
    target: Target = "data/processed",
    question_field: QuestionField = "",
    answer_field: AnswerField = "",
    topic_field: TopicField = "",
    kind_field: KindField = "",
    split_field: SplitField = "",
    id_field: IdField = "",
    encoding: Encoding = "",
    licence: Licence = "",
    allow_rejects: AllowRejects = False,
    deidentify: Deidentify = False,
    seed: Seed = 0,
    yes: Yes = False,
    as_json: AsJson = False,
) -> int:
    """Share the pairs of a source, or of existing partitions, out among hospitals."""
    mapping = FieldMapping(
        question=question_field, answer=answer_field, topic=topic_field, kind=kind_field, split=split_field, id=id_field
    )
    options = SourceOptions(
        mapping=mapping, encoding=encoding, licence=licence, allow_rejects=allow_rejects, deidentify=deidentify, seed=seed
    )
    command = PartitionData(
        job=JOB,
        source=source,
        strategy=strategy,
        hospitals=hospitals,
        names=tuple(name.strip() for name in names.split(",")) if names else (),
        field=field,
        alpha=alpha,
        sizes=tuple(int(number) for number in _numbers(sizes, "--sizes")),
        proportions=_numbers(proportions, "--proportions"),
        whole_topics=whole_topics,
        target=target,
        options=options,
    )
    return _import(command, ask=not (yes or as_json), as_json=as_json)


@data_app.command()
def show(folder: Folder = "sample", *, as_json: AsJson = False) -> int:
    """Show the hospitals of a folder: pairs, splits, topics, and how different they are."""
    described = _run(DescribeData(job=JOB, folder=folder, examples=0), as_json=as_json)
    return described or _run(CompareHospitals(job=JOB, folder=folder), as_json=as_json)


@data_app.command()
def pairs(
    folder: Folder = "sample",
    *,
    hospital: Annotated[str, typer.Option(metavar="NAME", help="Whose pairs.")],
    query: Annotated[str, typer.Option(help="Only pairs with all these words.")] = "",
    offset: Annotated[int, typer.Option(min=0, help="Pairs to skip.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Pairs to print.")] = 5,
    as_json: AsJson = False,
) -> int:
    """Read a hospital's pairs."""
    command = BrowsePairs(job=JOB, folder=folder, hospital=hospital, query=query, offset=offset, limit=limit)
    return _run(command, as_json=as_json)


@data_app.command()
def overlap(
    folder: Folder = "sample",
    *,
    threshold: Annotated[float, typer.Option(min=0.3, max=1.0, help="Similarity that counts as a near duplicate.")] = 0.8,
    sketches: Annotated[list[Path] | None, typer.Option("--sketch", metavar="FILE", help="May be repeated.")] = None,
    as_json: AsJson = False,
) -> int:
    """Look for copies within hospitals, across splits and across hospitals.

    With --sketch the folder is not read: the files that hospitals made with `data sketch` are compared, without any text.
    """
    files = tuple(str(path) for path in sketches or ())
    return _run(CheckOverlap(job=JOB, folder=folder, threshold=threshold, sketches=files), as_json=as_json)


@data_app.command()
def sketch(
    folder: Folder,
    *,
    hospital: Annotated[str, typer.Option(metavar="NAME", help="Whose pairs.")],
    salt_file: SaltFile,
    output: Annotated[Path, typer.Option(metavar="FILE", help="For the coordinator, who must not have the salt.")],
    as_json: AsJson = False,
) -> int:
    """Write keyed hashes of a hospital's pairs, so that copies can be found without showing text."""
    command = SketchPairs(job=JOB, folder=folder, hospital=hospital, salt=_salt(salt_file), target=str(output.absolute()))
    return _run(command, as_json=as_json)


@data_app.command()
def phi(
    folder: Folder = "sample",
    *,
    hospital: Annotated[str, typer.Option(metavar="NAME", help="Only this one.")] = "",
    as_json: AsJson = False,
) -> int:
    """Count identifying text: names, dates of birth, addresses, telephone, record and insurance numbers …"""
    return _run(ScanPhi(job=JOB, folder=folder, hospital=hospital), as_json=as_json)


@data_app.command()
def report(
    folder: Folder = "sample",
    *,
    output: Annotated[str, typer.Option(metavar="FOLDER", help="Where the sheet goes.")] = "data/report",
    as_json: AsJson = False,
) -> int:
    """Write the data sheet (Markdown and JSON): origin, licence, sizes, splits, overlap, identifying text."""
    return _run(ReportData(job=JOB, folder=folder, target=output), as_json=as_json)


def _import(command: ImportData | PartitionData, *, ask: bool, as_json: bool) -> int:
    """Import, after showing how the fields are understood; asks only on a terminal."""
    ask = ask and sys.stdin.isatty() and sys.stdout.isatty()
    if ask and not _confirmed(command):
        return CANCELLED
    events: list[AnyEvent] = []
    try:
        return _run(command, as_json=as_json, events=events)
    except FedMedError:
        rejects = next((event for event in events if isinstance(event, RejectsFound)), None)
        if rejects is None or not rejects.too_many or as_json:
            raise
        print_rejects(rejects)
        if not ask or not typer.confirm("Import the rest?", default=False):
            raise
    return _run(_allowing_rejects(command), as_json=as_json)


def _confirmed(command: ImportData | PartitionData) -> bool:
    events: list[AnyEvent] = []
    _run(PreviewSource(job=JOB, source=command.source, options=command.options), as_json=False, events=events)
    for event in events:
        if isinstance(event, SourcePreviewed):
            print_preview(event)
    return typer.confirm("Import it like this?", default=True)


def _allowing_rejects(command: ImportData | PartitionData) -> ImportData | PartitionData:
    options = msgspec.structs.replace(command.options, allow_rejects=True)
    return msgspec.structs.replace(command, options=options)


def _run(command: AnyCommand, *, as_json: bool, events: list[AnyEvent] | None = None) -> int:
    """Run one job; what it said is printed when it is done, and added to `events` as it comes."""
    heard: list[AnyEvent] = [] if events is None else events
    with event_output(as_json=as_json) as show_event:

        def take(stamped: Stamped) -> None:
            heard.append(stamped.event)
            show_event(stamped)

        code = run_job(command, take)
    if code == DONE and not as_json:
        print_events(heard)
    return code


def _sizes(text: str) -> dict[str, int]:
    """`A=4520,B=2521` → `{"A": 4520, "B": 2521}`. Raises SettingsError for anything else."""
    if text == "reference":
        return REFERENCE_SIZES
    sizes = {}
    for part in filter(None, text.split(",")):
        name, equals, number = part.partition("=")
        if not (name.strip() and equals and number.strip().isdecimal()):
            raise SettingsError(f"'{part}' is no size.", where="--sizes", hint="For example --sizes A=4520,B=2521,C=2959.")
        sizes[name.strip()] = int(number)
    return sizes


def _numbers(text: str, option: str) -> tuple[float, ...]:
    """`45,25,30` → `(45.0, 25.0, 30.0)`. Raises SettingsError for anything else."""
    try:
        return tuple(float(part) for part in text.replace("/", ",").split(",")) if text else ()
    except ValueError:
        raise SettingsError(f"'{text}' is no list of numbers.", where=option, hint="For example 45,25,30.") from None


def _salt(path: Path) -> str:
    """The shared secret, from a file so that it appears in no list of processes. Raises SettingsError."""
    try:
        salt = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}.", where=str(path), hint="Name the file with the shared secret.") from None
    if len(salt) < 16:
        raise SettingsError("the salt is shorter than 16 characters.", where=str(path), hint="`openssl rand -hex 32` makes one.")
    return salt
