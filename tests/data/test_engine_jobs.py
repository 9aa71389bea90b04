"""Data jobs in a real engine process: progress on the way, cancel at any time, everything typed on the wire."""

from __future__ import annotations

import asyncio
from pathlib import Path

from engine.protocol import (
    AnyEvent,
    BrowsePairs,
    CompareHospitals,
    DescribeData,
    HospitalsCompared,
    ImportData,
    JobFinished,
    PairsPage,
    PartitionDescribed,
    PreviewSource,
    Progress,
    SourcePreviewed,
    Stamped,
)
from fedmed_tui.engine_client import EngineClient
from tests.data.helpers import rows, write_csv


class Talk:
    """An engine, and what it said."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self._news = asyncio.Event()
        self.client = EngineClient(self._take, lambda _: None, attached=True)

    def _take(self, stamped: Stamped) -> None:
        self.events.append(stamped.event)
        self._news.set()

    async def until(self, kind: type[AnyEvent]) -> AnyEvent:
        """Wait for the next event of a kind; earlier ones are forgotten."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if isinstance(event, kind):
                    return event
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 60)


async def test_an_import_reports_progress_and_can_be_cancelled(home: Path, shared_data: Path) -> None:
    talk = Talk()
    await talk.client.start()
    try:
        talk.client.send(ImportData(job="import", source=str(shared_data / "MedQuAD-577bd37.tar.gz")))
        progress = await talk.until(Progress)
        await talk.client.cancel("import")
        finished = await talk.until(JobFinished)
    finally:
        await talk.client.stop()

    assert isinstance(progress, Progress) and 0 < progress.done < progress.total
    assert finished == JobFinished(job="import", outcome="cancelled")
    assert not (home / "data" / "processed").exists()


async def test_what_the_data_screen_asks_is_answered(home: Path) -> None:
    source = write_csv(home / "clinic.csv", [{**row, "clinic": "AB"[at % 2]} for at, row in enumerate(rows(60))])
    talk = Talk()
    await talk.client.start()
    try:
        talk.client.send(PreviewSource(job="preview", source=str(source)))
        previewed = await talk.until(SourcePreviewed)
        talk.client.send(ImportData(job="import", source=str(source)))
        await talk.until(JobFinished)
        await talk.until(JobFinished)
        talk.client.send(DescribeData(job="describe", folder="data/processed"))
        described = await talk.until(PartitionDescribed)
        talk.client.send(CompareHospitals(job="compare", folder="data/processed"))
        compared = await talk.until(HospitalsCompared)
        talk.client.send(BrowsePairs(job="browse", folder="data/processed", hospital="B", query="ailment", limit=3))
        page = await talk.until(PairsPage)
    finally:
        await talk.client.stop()

    assert isinstance(previewed, SourcePreviewed) and previewed.hospital_field == "clinic"
    assert isinstance(described, PartitionDescribed) and described.hospital == "A"
    assert isinstance(compared, HospitalsCompared) and compared.total_hospitals == 2
    assert isinstance(page, PairsPage) and (page.matches, len(page.pairs)) == (30, 3)
