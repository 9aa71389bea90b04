"""`fedmed-tui data import` and `data partition`: from a source to one partition per hospital."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from engine.errors import FedMedError
from engine.protocol import (
    AnyEvent,
    FieldMapping,
    ImportData,
    PartitionData,
    PreviewSource,
    RejectsFound,
    SourceOptions,
    SourcePreviewed,
    Strategy,
)
from fedmed_tui import amounts
from fedmed_tui.cli import CANCELLED
from fedmed_tui.cli.data_job import JOB, AsJson, run_and_print
from fedmed_tui.cli.data_text import print_preview, print_rejects

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="A file, archive or folder, `sample`, or a hub id: owner/name.")]
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
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of the splits and of the strategy.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]


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
        sizes=amounts.sizes(sizes, "--sizes"),
        target=target,
        options=options,
    )
    return _import(command, ask=not (yes or as_json), as_json=as_json)


def partition(
    source: Source,
    *,
    strategy: Annotated[
        Strategy, typer.Option(help="natural: by --field. dirichlet: over topics. iid: at random. quantity: given amounts.")
    ] = "iid",
    hospitals: Annotated[int, typer.Option(min=2, max=1000, help="How many.")] = 3,
    names: Annotated[str, typer.Option(metavar="A,B,C", help="What they are called.")] = "",
    field: Annotated[str, typer.Option(metavar="FIELD", help="For natural: the field that says which hospital.")] = "",
    alpha: Annotated[float, typer.Option(min=0.001, max=1e6, help="For dirichlet: 0.1 is very uneven, 100 is even.")] = 0.5,
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
        sizes=tuple(int(number) for number in amounts.numbers(sizes, "--sizes")),
        proportions=amounts.numbers(proportions, "--proportions"),
        whole_topics=whole_topics,
        target=target,
        options=options,
    )
    return _import(command, ask=not (yes or as_json), as_json=as_json)


def _import(command: ImportData | PartitionData, *, ask: bool, as_json: bool) -> int:
    """Import, after showing how the fields are understood; asks only on a terminal."""
    ask = ask and sys.stdin.isatty() and sys.stdout.isatty()
    if ask and not _confirmed(command):
        return CANCELLED
    events: list[AnyEvent] = []
    try:
        return run_and_print(command, as_json=as_json, events=events)
    except FedMedError:
        rejects = next((event for event in events if isinstance(event, RejectsFound)), None)
        if rejects is None or not rejects.too_many or as_json:
            raise
        print_rejects(rejects)
        if not ask or not typer.confirm("Import the rest?", default=False):
            raise
    return run_and_print(_allowing_rejects(command), as_json=as_json)


def _confirmed(command: ImportData | PartitionData) -> bool:
    events: list[AnyEvent] = []
    run_and_print(PreviewSource(job=JOB, source=command.source, options=command.options), as_json=False, events=events)
    for event in events:
        if isinstance(event, SourcePreviewed):
            print_preview(event)
    return typer.confirm("Import it like this?", default=True)


def _allowing_rejects(command: ImportData | PartitionData) -> ImportData | PartitionData:
    options = msgspec.structs.replace(command.options, allow_rejects=True)
    return msgspec.structs.replace(command, options=options)
