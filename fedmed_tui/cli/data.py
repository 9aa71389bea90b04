"""`fedmed-tui data …`: look at data and check them, without a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.errors import SettingsError
from engine.protocol import BrowsePairs, CheckOverlap, CompareHospitals, DescribeData, ReportData, ScanPhi, SketchPairs
from fedmed_tui.cli.data_import import import_, partition
from fedmed_tui.cli.data_job import JOB, AsJson, run_and_print

data_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Import, partition, look at and check data.")
data_app.command("import")(import_)
data_app.command()(partition)

Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="`sample`, or a folder with one partition per hospital.")]
SaltFile = Annotated[Path, typer.Option(metavar="FILE", help="The secret the hospitals share.")]


@data_app.command()
def show(folder: Folder = "sample", *, as_json: AsJson = False) -> int:
    """Show the hospitals of a folder: pairs, splits, topics, and how different they are."""
    described = run_and_print(DescribeData(job=JOB, folder=folder, examples=0), as_json=as_json)
    return described or run_and_print(CompareHospitals(job=JOB, folder=folder), as_json=as_json)


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
    return run_and_print(command, as_json=as_json)


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
    return run_and_print(CheckOverlap(job=JOB, folder=folder, threshold=threshold, sketches=files), as_json=as_json)


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
    return run_and_print(command, as_json=as_json)


@data_app.command()
def phi(
    folder: Folder = "sample",
    *,
    hospital: Annotated[str, typer.Option(metavar="NAME", help="Only this one.")] = "",
    as_json: AsJson = False,
) -> int:
    """Count identifying text: names, dates of birth, addresses, telephone, record and insurance numbers …"""
    return run_and_print(ScanPhi(job=JOB, folder=folder, hospital=hospital), as_json=as_json)


@data_app.command()
def report(
    folder: Folder = "sample",
    *,
    output: Annotated[str, typer.Option(metavar="FOLDER", help="Where the sheet goes.")] = "data/report",
    as_json: AsJson = False,
) -> int:
    """Write the data sheet (Markdown and JSON): origin, licence, sizes, splits, overlap, identifying text."""
    return run_and_print(ReportData(job=JOB, folder=folder, target=output), as_json=as_json)


def _salt(path: Path) -> str:
    """The shared secret, from a file so that it appears in no list of processes. Raises SettingsError."""
    try:
        salt = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}.", where=str(path), hint="Name the file with the shared secret.") from None
    if len(salt) < 16:
        raise SettingsError("the salt is shorter than 16 characters.", where=str(path), hint="`openssl rand -hex 32` makes one.")
    return salt
