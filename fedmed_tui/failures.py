"""What the engine said went wrong, as an error and as a complaint. Knows no Textual."""

from __future__ import annotations

from engine.errors import DataError, EngineError, FederationError, FedMedError, ModelError, RunError, SettingsError
from engine.protocol import Failure

_KINDS = (SettingsError, DataError, ModelError, RunError, FederationError)
_ERRORS: dict[str, type[FedMedError]] = {kind.title: kind for kind in _KINDS}


def as_error(failure: Failure) -> FedMedError:
    """The error that the engine reported, as it was raised there."""
    error = _ERRORS.get(failure.title, EngineError)(failure.message, where=failure.where, hint=failure.hint)
    error.title = failure.title
    return error


def complaint(problem: Failure | FedMedError) -> str:
    """What is wrong and how to mend it, for a place that itself shows where."""
    return " ".join(part for part in (problem.message, problem.hint) if part)
