"""Jobs on data: which generator carries each command out. Modules are imported by the job that needs them."""

from __future__ import annotations

from engine import locations
from engine.protocol import (
    BrowsePairs,
    CheckOverlap,
    CompareHospitals,
    DescribeData,
    ImportData,
    PartitionData,
    PreviewSource,
    ReportData,
    ScanPhi,
    SketchPairs,
)
from engine.scheduler import Job

DataCommand = (
    BrowsePairs
    | CheckOverlap
    | CompareHospitals
    | DescribeData
    | ImportData
    | PartitionData
    | PreviewSource
    | ReportData
    | ScanPhi
    | SketchPairs
)


def data_job(command: DataCommand) -> Job:  # noqa: C901 one case a command, nothing else
    """The generator that does what the command asks."""
    match command:
        case BrowsePairs():
            from engine.data.browse import browse

            yield from browse(command)
        case CheckOverlap():
            from engine.data.overlap import check_overlap

            yield from check_overlap(command)
        case CompareHospitals():
            from engine.data.compare import compare

            yield from compare(command.job, locations.data_folder(command.folder))
        case DescribeData():
            from engine.data.partition import describe

            yield from describe(command.job, locations.data_folder(command.folder), command.examples)
        case ImportData():
            from engine.data.importing import import_data

            yield from import_data(command)
        case PartitionData():
            from engine.data.importing import partition_data

            yield from partition_data(command)
        case PreviewSource():
            from engine.data.reading import preview

            yield from preview(command)
        case ReportData():
            from engine.data.report import report

            yield from report(command)
        case ScanPhi():
            from engine.data.phi.scan import scan

            yield from scan(command)
        case SketchPairs():
            from engine.data.overlap import sketch_pairs

            yield from sketch_pairs(command)
