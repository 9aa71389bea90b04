"""What a run's events say about it: rounds counted once, torn lines left out, sections without a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.benchmark import recorded
from engine.benchmark.record import RunRecord
from engine.benchmark.results import Privacy, Traffic
from engine.errors import RunError
from engine.protocol import (
    AnyEvent,
    Evaluated,
    HospitalInfo,
    RoundFinished,
    RunStarted,
    Stamped,
    TrafficCounted,
    UpdateReceived,
    encode_event,
)
from engine.settings import DEMO
from tests.benchmark.samples import partly_evaluated

HOSPITALS = tuple(HospitalInfo(name=name, train=20, validation=4, test=4) for name in ("A", "B"))


def started(completed: int = 0, run: str = "r") -> RunStarted:
    return RunStarted(run=run, config=DEMO, hospitals=HOSPITALS, completed=completed)


def round_events(number: int, loss: float, rate: int = 1000) -> list[AnyEvent]:
    return [
        *(
            UpdateReceived(
                round=number, hospital=name, pairs=20, steps=5, loss=9.0, variance=0.1, bytes=8, tokens=rate, seconds=1.0
            )
            for name in ("A", "B")
        ),
        *(Evaluated(round=number, hospital=name, stage="local", loss=9.9, pairs=4, tokens=9) for name in ("A", "B")),
        *(Evaluated(round=number, hospital=name, stage="global", loss=loss, pairs=4, tokens=9) for name in ("A", "B")),
        RoundFinished(round=number, rounds=3, before=3.0, after=loss, seconds=2.0),
    ]


def record_of(events: Sequence[AnyEvent]) -> RunRecord:
    record = RunRecord()
    for event in events:
        record.apply(event)
    return record


def test_validation_losses_are_of_the_global_adapter_never_of_training() -> None:
    section = recorded.learning(record_of([started(), *round_events(1, 2.5), *round_events(2, 2.0)]))

    assert section is not None
    assert [(at.round, at.losses, at.macro) for at in section.validation] == [
        (1, {"A": 2.5, "B": 2.5}, 2.5),
        (2, {"A": 2.0, "B": 2.0}, 2.0),
    ]


def test_the_losses_of_the_hospitals_own_adapters_stand_beside_them() -> None:
    section = recorded.learning(record_of([started(), *round_events(1, 2.5)]))

    assert section is not None
    assert [at.own for at in section.validation] == [{"A": 9.9, "B": 9.9}]


def without(hospital: str, events: Sequence[AnyEvent]) -> list[AnyEvent]:
    return [event for event in events if not (isinstance(event, Evaluated) and event.hospital == hospital)]


def test_a_hospital_that_was_not_evaluated_costs_no_round() -> None:
    base = [event for event in round_events(0, 3.0) if isinstance(event, Evaluated)]
    record = record_of([started(), *base, *round_events(1, 2.5), *without("B", round_events(2, 2.0)), *round_events(3, 1.5)])

    section = recorded.learning(record)

    assert section is not None
    assert {at.round: "".join(at.losses) for at in section.validation} == {0: "AB", 1: "AB", 2: "A", 3: "AB"}


def test_a_hospital_that_keeps_its_losses_to_itself_leaves_the_others() -> None:
    events = [*(event for event in round_events(0, 3.0) if isinstance(event, Evaluated)), *round_events(1, 2.5)]

    section = recorded.learning(record_of([started(), *without("B", events)]))

    assert section is not None
    assert [at.losses for at in section.validation] == [{"A": 3.0}, {"A": 2.5}]
    assert section.hospitals == ["A"]


def test_a_round_that_is_still_being_evaluated_is_not_told() -> None:
    evaluating = [event for event in without("B", round_events(1, 2.5)) if not isinstance(event, RoundFinished)]

    assert recorded.learning(record_of([started(), *evaluating])) is None


def test_nobodys_absence_looks_like_progress() -> None:
    change = partly_evaluated().change

    assert change == pytest.approx((2.15 - 2.45) / 2.45)  # of B and C alone


def test_a_round_that_was_done_again_counts_once() -> None:
    record = record_of(
        [started(), *round_events(1, 2.5), *round_events(2, 9.0)[:-1], started(completed=1), *round_events(2, 2.0)]
    )

    assert record.losses[2] == {"A": 2.0, "B": 2.0}
    assert len(record.trainings) == 4
    assert record.seconds == 4.0


def test_another_run_begins_an_empty_record() -> None:
    record = record_of([started(), *round_events(0, 3.0)[-3:], *round_events(1, 2.5), started(run="next")])

    assert (record.run, dict(record.losses), record.completed) == ("next", {}, 0)


def test_speed_leaves_the_first_round_out_when_there_is_another() -> None:
    one, two = [started(), *round_events(1, 2.5, rate=100)], round_events(2, 2.0, rate=500)

    first, both = recorded.speed(record_of(one)), recorded.speed(record_of([*one, *two]))

    assert first is not None and both is not None
    assert (first.tokens_per_second.median, both.tokens_per_second.median) == (100.0, 500.0)


def test_a_record_that_grows_tells_what_it_would_tell_anew() -> None:
    record, known = record_of([started(), *round_events(1, 2.5, rate=100), *round_events(2, 9.0, rate=300)]), recorded.Known()
    recorded.learning(record, known), recorded.speed(record, known)

    for event in (started(completed=1), *round_events(2, 2.0, rate=500), *round_events(3, 1.5, rate=400)):
        record.apply(event)

    assert recorded.learning(record, known) == recorded.learning(record)
    assert recorded.speed(record, known) == recorded.speed(record)


def test_traffic_added_up_over_hospitals_gives_the_same_figures() -> None:
    rows = tuple(
        Traffic(round=number, hospital=name, direction="up", kind=kind, values=3, bytes=size)
        for number in (0, 1)
        for name, size in (("A", 100), ("B", 300))
        for kind in ("adapter", "text")
    )
    record = record_of([started(), TrafficCounted(round=1, rows=rows)])

    one_by_one, in_sum = recorded.privacy(record), recorded.privacy_in_sum(record, recorded.Known())

    assert isinstance(one_by_one, Privacy) and isinstance(in_sum, Privacy)
    assert (in_sum.raw_values_sent, in_sum.bytes_per_round("up")) == (12, 400.0)
    assert (one_by_one.raw_values_sent, one_by_one.bytes_per_round("up")) == (12, 400.0)
    assert len(in_sum.traffic) < len(one_by_one.traffic)


def test_a_run_that_has_just_begun_has_no_sections() -> None:
    record = record_of([])

    assert [look(record) for look in (recorded.learning, recorded.aggregation, recorded.privacy, recorded.speed)] == [None] * 4


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = [encode_event(Stamped(seq=at, time=0.0, event=event)) for at, event in enumerate([started(), *round_events(1, 2.5)])]
    path.write_bytes(b"".join(lines) + b'{"v": 1, "seq": 9')

    assert RunRecord.read(path).completed == 1


def test_a_damaged_line_before_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(encode_event(Stamped(seq=0, time=0.0, event=started())) + b"no event\n" + b"\n")

    with pytest.raises(RunError, match="line 2"):
        RunRecord.read(path)
