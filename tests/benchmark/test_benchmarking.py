"""What a screen knows of a benchmark in progress, from a real one's events and from those of other jobs."""

from __future__ import annotations

from engine.protocol import AnyEvent, BenchmarkFinished, BenchmarkProgress, Failure, JobFinished, SuiteMeasured
from fedmed_tui.benchmarking import Benchmarking

JOB = "full"


def after(events: list[AnyEvent]) -> Benchmarking:
    state = Benchmarking(JOB)
    for event in events:
        state.take(event)
    return state


def test_at_its_end_everything_is_there(full: list[AnyEvent]) -> None:
    state = after([*full, JobFinished(job=JOB, outcome="done")])

    assert isinstance(full[-1], BenchmarkFinished)
    assert (state.results, state.folder) == (full[-1].results, full[-1].folder)
    assert state.fractions == [1.0] * len(state.plan)
    assert state.ended and state.seconds_left is None


def test_sections_appear_as_their_suites_have_run(full: list[AnyEvent]) -> None:
    second = [at for at, event in enumerate(full) if isinstance(event, SuiteMeasured)][1]

    state = after(full[: second + 1])

    assert state.results is not None
    assert state.results.learning is not None and state.results.aggregation is None


def test_items_fill_up_from_the_first_on(full: list[AnyEvent]) -> None:
    middle = [at for at, event in enumerate(full) if isinstance(event, BenchmarkProgress) and 0 < event.fraction < 1][-1]

    state = after(full[: middle + 1])

    going = next(at for at, fraction in enumerate(state.fractions) if fraction < 1)
    assert 0 < state.fractions[going] < 1
    assert set(state.fractions[going + 1 :]) <= {0.0}


def test_a_failure_is_kept_and_other_jobs_change_nothing() -> None:
    mine, other = (Failure(job=job, title="Run", message="m", where="", hint="") for job in (JOB, "other"))

    assert after([other]) == Benchmarking(JOB)
    assert after([mine]).failure == mine
