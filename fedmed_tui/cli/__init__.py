"""The command line: `fedmed-tui` alone opens the dashboard, with a command it works headless.

Standard output carries what was asked for and nothing else; notes and errors go to standard error. A command says how it went
by its exit code: 0 done, 1 the engine or the run failed, 2 bad input, 130 cancelled.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from engine import locations
from engine.errors import EngineError, FedMedError, ProtocolError
from engine.plain_text import on_one_line

DONE = 0
FAILED = 1
BAD_INPUT = 2
CANCELLED = 130

ENGINE_FAILURES = (EngineError, ProtocolError)
"""The engine's own troubles; any other error is about the input, and a person can mend it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, or the dashboard when none is given. Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _make_streams_lenient()
    try:
        _check_encoding([*arguments, str(locations.home())])
        return _run_command(arguments) if arguments else _open_dashboard()
    except FedMedError as error:
        complain(error)
        return FAILED if isinstance(error, ENGINE_FAILURES) else BAD_INPUT
    except KeyboardInterrupt:  # where there is no job to stop: while libraries are loaded, or a folder is read
        return CANCELLED


def complain(error: FedMedError) -> None:
    """State an error on standard error, in one line."""
    print(on_one_line(f"{error.title}: {error}"), file=sys.stderr)


def _make_streams_lenient() -> None:
    """A character that a stream cannot take becomes `?`, so that it never ends a command."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _check_encoding(arguments: list[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = argument.encode(errors="replace").decode()
            raise FedMedError("is not UTF-8 text.", where=shown, hint="Rename it, or use a UTF-8 locale.") from None


def _run_command(arguments: list[str]) -> int:
    import typer

    from fedmed_tui.cli.app import app

    try:
        code = app(arguments, prog_name="fedmed-tui", standalone_mode=False)
    except typer.TyperException as error:  # a wrong option, argument or value
        message = error.format_message()
        stop = "" if message.endswith((".", "?")) else "."
        print(f"Usage: {on_one_line(message)}{stop} See `fedmed-tui --help`.", file=sys.stderr)
        return BAD_INPUT
    except typer.Abort:
        return CANCELLED
    return code if isinstance(code, int) else DONE


def _open_dashboard() -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise FedMedError("the dashboard needs a terminal.", hint="`fedmed-tui --help` lists what works without one.")
    from fedmed_tui.app import FedMedApp

    app = FedMedApp()
    app.run()
    return app.return_code or DONE
