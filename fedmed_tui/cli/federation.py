"""`fedmed-tui federation …` and `fedmed-tui hospital …`: one machine per hospital, over NVIDIA FLARE."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from engine import locations
from engine.errors import FedMedError
from engine.plain_text import on_one_line
from engine.protocol import (
    DEFAULT_PORT,
    CreateFederation,
    DescribeFederation,
    FederationCreated,
    FederationDescribed,
    ServeFederation,
    Stamped,
)
from fedmed_tui.cli.data_job import AsJson
from fedmed_tui.cli.output import event_output
from fedmed_tui.cli.rehearsal import rehearse
from fedmed_tui.cli.session import run_job
from fedmed_tui.sites import run_site

JOB = "federation"
Name = Annotated[str, typer.Argument(metavar="NAME", help="The federation's name.")]

federation_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="One machine per hospital, over NVIDIA FLARE.")
hospital_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="A hospital's side of a federation.")
federation_app.command()(rehearse)


@federation_app.command()
def create(
    name: Name,
    *,
    hospitals: Annotated[str, typer.Option(metavar="A,B,C", help="Their names, as in hospital_A.")],
    server: Annotated[str, typer.Option(metavar="HOST", help="Under which hospitals reach this computer.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="The one port that hospitals connect to.")] = DEFAULT_PORT,
    as_json: AsJson = False,
) -> int:
    """Make certificates, and one kit per hospital. This computer becomes the coordinator."""
    names = tuple(one.strip() for one in hospitals.split(",") if one.strip())
    return _ask(CreateFederation(job=JOB, name=name, server=server, hospitals=names, port=port), as_json=as_json)


@federation_app.command()
def start(name: Name, *, as_json: AsJson = False) -> int:
    """Start the federation's server on this computer; it goes on in the background."""
    return _ask(ServeFederation(job=JOB, name=name, action="start"), as_json=as_json)


@federation_app.command()
def stop(name: Name, *, as_json: AsJson = False) -> int:
    """Stop the federation's server, and with it what runs on it. Runs stay resumable."""
    return _ask(ServeFederation(job=JOB, name=name, action="stop"), as_json=as_json)


@federation_app.command()
def status(name: Name, *, as_json: AsJson = False) -> int:
    """Say whether the server is up, who is connected, and what runs."""
    return _ask(DescribeFederation(job=JOB, name=name), as_json=as_json)


@hospital_app.command("start")
def hospital_start(
    kit: Annotated[Path, typer.Argument(metavar="KIT", help="The folder that the coordinator sent.")],
    *,
    data: Annotated[str, typer.Option(metavar="FOLDER", help="This hospital's partition: data/processed/hospital_A.")],
    model: Annotated[str, typer.Option(help="Where this machine has the base model.", show_default="as the run says")] = "",
) -> int:
    """Join a federation with this machine's data. KIT/local/policy.toml says what is allowed.

    It goes on until Ctrl+C, SIGTERM or the end of the terminal (nohup keeps it), and ends with all its processes and exit code 0.
    """
    if not kit.is_dir():
        raise FedMedError("there is no such folder.", where=str(kit), hint="Name the kit that the coordinator sent.")
    environment = {"FEDMED_HOSPITAL_MODEL": model} if model else {}
    told = f"{kit.name}: joining. Ctrl+C leaves. What it allows: {kit / 'local' / 'policy.toml'}"
    print(on_one_line(told), file=sys.stderr)
    return run_site(kit, locations.data_folder(data), environment)


def _ask(command: CreateFederation | ServeFederation | DescribeFederation, *, as_json: bool) -> int:
    """Run one job, and tell what came of it."""
    with event_output(as_json=as_json) as show:

        def take(stamped: Stamped) -> None:
            show(stamped)
            if not as_json and isinstance(stamped.event, FederationCreated):
                _tell_created(stamped.event)
            elif not as_json and isinstance(stamped.event, FederationDescribed):
                _tell_described(stamped.event)

        return run_job(command, take)


def _tell_created(made: FederationCreated) -> None:
    print(f"Federation {made.name}, coordinated from {made.server}:{made.port}. Send each folder to its hospital, by a safe way,")
    print("and delete it here: whoever holds a kit can join in that hospital's name.\n")
    for kit in made.kits:
        print(f"  {kit.participant}: {kit.folder}")
        print(f"     there: fedmed-tui hospital start {Path(kit.folder).name} --data data/processed/hospital_{kit.participant}")
    print(f"\nHere: fedmed-tui federation start {made.name}, then fedmed-tui train --federation {made.name}")
    print(f"Never send {made.folder}/authority or /operator: they can add hospitals and start runs.")


def _tell_described(now: FederationDescribed) -> None:
    print(f"{on_one_line(now.name)}  server {on_one_line(now.server)}:{now.port} {'is up' if now.up else 'is down'}")
    for hospital in now.hospitals:
        print(f"  {on_one_line(hospital)}  {'connected' if hospital in now.connected else 'not connected'}")
    print(f"  running: {on_one_line(', '.join(now.running)) or 'nothing'}")
