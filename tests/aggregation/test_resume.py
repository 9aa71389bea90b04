"""A run that is cut short and goes on ends with the same bits, whatever the aggregator carries from round to round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine import locations
from engine.federated.checkpoint import read_round
from engine.jobs.context import Engine
from engine.jobs.run import resume_run, start_run
from engine.jobs.what_if import what_if
from engine.model.adapters import to_bytes
from engine.protocol import Aggregated, AnyEvent, ResumeRun, RoundFinished, StartRun, WhatIf, WhatIfEvaluated
from engine.scheduler import Cancelled, Job
from engine.settings import RunConfig, load_config

CARRIED: dict[str, dict[str, Any]] = {
    "agent": {"aggregation.weighting": "agent", "aggregation.evaluation_share": 5.0},
    "fedadam": {"aggregation.server_optimizer": "fedadam", "aggregation.combine": "factors", "aggregation.weighting": "samples"},
    "scaffold": {"training.objective": "scaffold", "aggregation.combine": "alternate", "aggregation.weighting": "equal"},
    "stacked": {"aggregation.combine": "stacked", "aggregation.weighting": "samples"},
}


def config(tiny_model: Path, case: str) -> RunConfig:
    small = {
        "model.source": str(tiny_model),
        "model.quantization": "none",
        "lora.rank": 2,
        "training.rounds": 3,
        "training.local_steps": 2,
        "training.max_tokens": 64,
        "training.learning_rate": 0.02,
        "data.max_pairs": 8,
        "data.validation_pairs": 4,
    }
    return load_config(overrides=small | CARRIED[case])


def until(job: Job, last: type[AnyEvent] | None = None, number: int = 0) -> list[AnyEvent]:
    """The job's events; stopped after a round's event of type `last`."""
    events: list[AnyEvent] = []
    for event in job:
        if event is None:
            continue
        events.append(event)
        if last is not None and isinstance(event, last) and getattr(event, "round", 0) == number:
            with pytest.raises(Cancelled):
                job.throw(Cancelled())
                list(job)
            break
    return events


def start(name: str, settings: RunConfig) -> Job:
    return start_run(Engine(attached=False), StartRun(job="1", run=name, config=settings))


@pytest.mark.parametrize("case", CARRIED)
def test_a_resumed_run_equals_an_uninterrupted_one(home: Path, tiny_model: Path, case: str) -> None:
    settings = config(tiny_model, case)
    whole = until(start("whole", settings))

    until(start("cut", settings), RoundFinished, number=2)
    rest = until(resume_run(Engine(attached=False), ResumeRun(job="2", run="cut")))

    first, second = (read_round(locations.run_folder(run) / "rounds" / "003") for run in ("whole", "cut"))
    assert to_bytes(first.adapter) == to_bytes(second.adapter)
    assert (first.state.memory, first.state.weights) == (second.state.memory, second.state.weights)
    decisions = [[event for event in events if isinstance(event, Aggregated)][-1] for events in (whole, rest)]
    assert decisions[0].candidates == decisions[1].candidates


def test_asking_what_if_answers_with_the_runs_own_loss_for_its_own_weights(home: Path, tiny_model: Path) -> None:
    until(start("asked", config(tiny_model, "stacked")))
    folder = locations.run_folder("asked")
    used = read_round(folder / "rounds" / "003").state.weights
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    for weights in (used, {"A": 1.0}):
        *_, answer = until(what_if(Engine(attached=False), WhatIf(job="3", run="asked", weights=weights)))
        assert isinstance(answer, WhatIfEvaluated)
        assert [one.hospital for one in answer.losses] == ["A", "B", "C"]
        assert (answer.gain == 0) == (weights == used)

    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_base_model_may_retell_the_reasons_and_changes_nothing_else(home: Path, tiny_model: Path) -> None:
    settings = config(tiny_model, "stacked")
    told = msgspec.structs.replace(settings, aggregation=msgspec.structs.replace(settings.aggregation, narrator=True))

    plain, retold = (
        [event for event in until(start(name, one)) if isinstance(event, Aggregated)]
        for name, one in (("plain", settings), ("told", told))
    )

    assert all(event.narration for event in retold)
    assert [msgspec.structs.replace(event, narration="") for event in retold] == plain
