"""Every command, gathered."""

from __future__ import annotations

from typing import Annotated

import typer

from fedmed_tui import __version__
from fedmed_tui.cli.benchmark import benchmark_app
from fedmed_tui.cli.chat import chat
from fedmed_tui.cli.data import data_app
from fedmed_tui.cli.doctor import doctor
from fedmed_tui.cli.federation import federation_app, hospital_app
from fedmed_tui.cli.history import export, replay, runs
from fedmed_tui.cli.model import model_app
from fedmed_tui.cli.settings import settings
from fedmed_tui.cli.train import train

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 the engine or the run failed, 2 bad input, 130 cancelled.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fedmed-tui {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Federated fine-tuning of a medical language model. Without a command: the dashboard."""


app.command()(train)
app.command()(chat)
app.command()(runs)
app.command()(replay)
app.command()(export)
app.command()(settings)
app.command()(doctor)
app.add_typer(benchmark_app, name="benchmark")
app.add_typer(data_app, name="data")
app.add_typer(federation_app, name="federation")
app.add_typer(hospital_app, name="hospital")
app.add_typer(model_app, name="model")
