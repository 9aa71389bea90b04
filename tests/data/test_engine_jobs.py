"""Data jobs in a real engine process: progress on the way, cancel at any time, everything typed on the wire."""

from __future__ import annotations

from pathlib import Path

from engine.protocol import (
    BrowsePairs,
    CompareHospitals,
    DescribeData,
    HospitalsCompared,
    ImportData,
    ImportFinished,
    JobFinished,
    PairsPage,
    PartitionDescribed,
    PreviewSource,
    Progress,
    SourcePreviewed,
)
from tests.data.helpers import rows, write_csv
from tests.process.conftest import engine


async def test_an_import_reports_progress_and_can_be_cancelled(home: Path, shared_data: Path) -> None:
    async with engine() as driver:
        driver.client.send(ImportData(job="import", source=str(shared_data / "MedQuAD-577bd37.tar.gz")))
        progress = await driver.until(Progress)
        await driver.client.cancel("import")
        finished = await driver.until(JobFinished)

    assert 0 < progress.done < progress.total
    assert finished == JobFinished(job="import", outcome="cancelled")
    assert not (home / "data" / "processed").exists()


async def test_what_the_data_screen_asks_is_answered(home: Path) -> None:
    source = write_csv(home / "clinic.csv", [{**row, "clinic": "AB"[at % 2]} for at, row in enumerate(rows(60))])
    folder = "data/processed"
    async with engine() as driver:
        driver.client.send(PreviewSource(job="preview", source=str(source)))
        previewed = await driver.until(SourcePreviewed)
        driver.client.send(ImportData(job="import", source=str(source)))
        await driver.until(ImportFinished)
        driver.client.send(DescribeData(job="describe", folder=folder))
        driver.client.send(CompareHospitals(job="compare", folder=folder))
        driver.client.send(BrowsePairs(job="browse", folder=folder, hospital="B", query="ailment", limit=3))
        described = await driver.until(PartitionDescribed, lambda event: event.job == "describe")
        compared, page = await driver.until(HospitalsCompared), await driver.until(PairsPage)

    assert previewed.hospital_field == "clinic"
    assert (described.hospital, described.train + described.validation + described.test) == ("A", 30)
    assert compared.total_hospitals == 2
    assert (page.matches, len(page.pairs)) == (30, 3)
