"""A record that somebody wrote by hand, whose numbers belong to no run: each screen shows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import script
from conftest import redraw, tell, text_of

from engine.protocol import (
    Aggregated,
    AnyEvent,
    Evaluated,
    HospitalInfo,
    HospitalWeight,
    ModelLoaded,
    RoundFinished,
    RoundStarted,
    RunStarted,
    Stamped,
    StepDone,
    TrafficCounted,
    TrainingStarted,
    UpdateReceived,
    decode_event,
    encode_event,
)
from engine.settings import DEMO
from fedmed_tui.app import FedMedApp


def record(count: int, last: int, figure: float, share: float) -> Iterator[AnyEvent]:
    """A hospital is named twice, and another one, that nobody knows, sends an update."""
    hospitals = tuple(HospitalInfo(name=name, train=count, validation=count, test=count) for name in "AAB")
    weight = HospitalWeight(hospital="A", pairs=count, sample_share=share, weight=share)
    yield RunStarted(run="r", config=DEMO, hospitals=hospitals)
    yield ModelLoaded(
        name="m", source="s", digest="", quantization="q", device="cpu", threads=count, parameters=count, trainable=count,
        base_bytes=count, adapter_bytes=count, seconds=figure,
    )  # fmt: skip
    for at in (0, last, 1):
        yield RoundStarted(round=at, rounds=last)
        yield TrainingStarted(round=at, hospital="A", steps=count)
        yield StepDone(round=at, hospital="A", step=count, steps=count, loss=figure, tokens=count, seconds=figure)
        for name in "AZ":
            yield UpdateReceived(
                round=at, hospital=name, pairs=count, steps=count, loss=figure, variance=figure, bytes=count, tokens=count,
                seconds=figure,
            )  # fmt: skip
        yield Aggregated(round=at, weighting="w", combine="c", weights=(weight,), reason="")
        yield Evaluated(round=at, hospital="A", stage="global", loss=figure, pairs=count, tokens=count)
        yield TrafficCounted(round=at, rows=())
        yield RoundFinished(round=at, rounds=last, before=figure, after=-figure, seconds=figure)


@pytest.mark.parametrize(("count", "last", "figure", "share"), [(0, 0, 0.0, 0.0), (1, 2, -1.0, -1.0), (10**12, 2, 1.0, 100.0)])
async def test_every_screen_shows_a_record_of_no_run(app: FedMedApp, count: int, last: int, figure: float, share: float) -> None:
    events = enumerate(record(count, last, figure, share), start=1)
    lines = [encode_event(Stamped(seq=number, time=script.START, event=one)) for number, one in events]
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, [decode_event(line) for line in lines])
        for key in "12345":
            await pilot.press(key)
            await redraw(pilot)

        assert "FED-MED" in text_of(pilot)
