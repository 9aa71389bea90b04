"""The errors a person can act on: what is wrong, where, and how to mend it.

Everything raised on purpose by this project derives from `FedMedError`. Both processes use it: the engine turns one into a
`Failure` event, the command line prints it and exits with code 2.
"""

from __future__ import annotations

import sys
import traceback


class FedMedError(Exception):
    """A problem stated for a person.

    Args:
        message: one sentence saying what is wrong.
        where: the file, line, setting or hospital it is about; empty when there is none.
        hint: how to mend it; empty when nothing sensible can be said.
    """

    title = "Error"

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        mend = f" {self.hint}" if self.hint else ""
        return f"{place}{self.message}{mend}"


class SettingsError(FedMedError):
    """A setting is unknown, malformed or out of range."""

    title = "Settings"


class DataError(FedMedError):
    """A data file or a pair in it cannot be used."""

    title = "Data"


class ModelError(FedMedError):
    """The base model or an adapter cannot be loaded."""

    title = "Model"


class RunError(FedMedError):
    """A run folder is missing, damaged, locked or cannot be written."""

    title = "Run"


class FederationError(FedMedError):
    """A federation is missing, exists already, cannot be reached, or its hospitals do not fit the run."""

    title = "Federation"


class ProtocolError(FedMedError):
    """A line between the two processes is not what the protocol allows."""

    title = "Protocol"


class EngineError(FedMedError):
    """The engine process could not be started, or died."""

    title = "Engine"


def log_unexpected(error: BaseException) -> None:
    """Where it came from, and what led to it. Its text may hold a pair's or a question's: the log gets its type."""
    if before := error.__cause__ or error.__context__:
        log_unexpected(before)
    traceback.print_tb(error.__traceback__)
    print(f"{type(error).__module__}.{type(error).__qualname__}", file=sys.stderr, flush=True)
