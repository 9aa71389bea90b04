"""What if the hospitals had counted otherwise? Evaluates a weight vector over a finished round's updates; the run is not changed.

Everything is read from the run's folder, so that a run in progress and one of last week answer alike.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from engine import locations
from engine.errors import RunError
from engine.federated.checkpoint import RoundState, adapter_folder, read_round
from engine.federated.hospital import Hospital
from engine.federated.transport import InProcess
from engine.federated.update import VOTER_PAIRS, Assessment, Lost, Verdict
from engine.jobs.context import Engine
from engine.jobs.model import ensure_bank
from engine.manifest import Manifest, read_manifest
from engine.model.adapters import Adapter, AdapterBank, load_adapter
from engine.protocol import AnyEvent, Progress, WhatIf, WhatIfEvaluated, WhatIfLoss
from engine.scheduler import Job

NO_LIMIT = 2**62


def what_if(engine: Engine, command: WhatIf) -> Job:
    """Evaluate on the hospitals' validation pairs, as many as a round uses, against the weights that the run used.

    Raises:
        RunError: no such run, no finished round, a hospital that is not in it, or too few pairs everywhere.
        DataError, ModelError: its pairs, model or adapters cannot be read.
    """
    path = locations.run_folder(command.run)
    manifest = read_manifest(path)
    bank = yield from ensure_bank(engine, command.job, manifest.config.model, manifest.config.lora)
    newest = _newest(path, manifest, bank, command)
    verdicts = yield from _ask(command, manifest, bank, newest)
    errors = [verdict.errors[1] / verdict.losses[0] for verdict in verdicts]
    yield WhatIfEvaluated(
        job=command.job,
        run=command.run,
        round=newest.state.round,
        weights=command.weights,
        losses=tuple(
            WhatIfLoss(hospital=one.voter, loss=one.losses[1], as_aggregated=one.losses[0], pairs=one.pairs) for one in verdicts
        ),
        gain=fmean(verdict.gains[1] / verdict.losses[0] for verdict in verdicts),
        error=math.sqrt(sum(error**2 for error in errors)) / len(verdicts),
    )


@dataclass(frozen=True)
class _Newest:
    """A run's newest finished round: where it started, and what came back."""

    state: RoundState
    start: Adapter
    updates: dict[str, Adapter]


def _newest(path: Path, manifest: Manifest, bank: AdapterBank, command: WhatIf) -> _Newest:
    """The newest finished round. Raises RunError."""
    unknown = sorted(command.weights.keys() - set(manifest.hospitals))
    if unknown:
        known = ", ".join(manifest.hospitals)
        raise RunError(f"hospital '{unknown[0]}' is not in this run.", where=command.run, hint=f"It has: {known}.")
    if not manifest.completed:
        raise RunError("it has not finished a round yet.", where=command.run, hint="Ask again after the first round.")
    rounds = path / "rounds"
    state = read_round(rounds / f"{manifest.completed:03d}").state
    before = manifest.completed - 1
    start = read_round(rounds / f"{before:03d}").adapter if before else bank.initial(manifest.config.seed)
    folders = {name: adapter_folder(path, name) for name in state.fingerprints}
    updates = {name: load_adapter(folder)[1] for name, folder in folders.items()}
    return _Newest(state, start, updates)


def _ask(
    command: WhatIf, manifest: Manifest, bank: AdapterBank, newest: _Newest
) -> Generator[AnyEvent | None, None, list[Verdict]]:
    """Every hospital's verdict on the run's weights and on the asked ones."""
    config = manifest.config
    config.require_here(manifest.run)
    folder = locations.data_folder(config.data.folder)
    hospitals = [Hospital(name, folder, config) for name in manifest.hospitals]
    for hospital in hospitals:
        hospital.attach(bank)
        yield None
    names = sorted(newest.updates)
    assessment = Assessment(
        round=newest.state.round,
        adapters=(newest.start, *(newest.updates[name] for name in names)),
        vectors=tuple(tuple(weights.get(name, 0.0) for name in names) for weights in (newest.state.weights, command.weights)),
        part="all",
        pairs=config.data.validation_pairs,
        tokens=dict.fromkeys(manifest.hospitals, NO_LIMIT),
    )
    verdicts: list[Verdict] = []
    asked = 0
    for item in InProcess(hospitals).assess(assessment):
        if item is None:
            yield None
            continue
        if isinstance(item, Lost):
            raise RunError(f"{item.hospital} could not try them: {item.reason}.", where=command.run, hint="Ask again.")
        asked += 1
        verdicts += [item] if item.pairs else []
        what = f"trying other weights at {item.voter}"
        yield Progress(job=command.job, what=what, done=asked, total=len(hospitals))
    if not verdicts:
        few = f"no hospital has {VOTER_PAIRS} validation pairs to try them on."
        raise RunError(few, where=command.run, hint="Raise data.validation_pairs in a new run.")
    return verdicts
