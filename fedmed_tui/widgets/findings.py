"""What a reviewer asks of the data: what is in there twice, how different the hospitals are, and what identifies somebody."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from engine.protocol import OverlapCell, OverlapMeasured, PartitionDescribed
from fedmed_tui.widgets.partition import PartitionFigure, bars
from fedmed_tui.widgets.text import Column, number, one_line, safe, table

NAME = 12
SHOWN = 12
"""Lines of a list at most."""
EXAMPLES = 6


class Overlap(PartitionFigure):
    """Copies within and across hospitals as a matrix, held-out pairs that leak, and how different the hospitals are."""

    def picture(self, width: int) -> Content:
        """See the class."""
        event, comparison = self.workspace.desk.overlap, self.workspace.desk.comparison
        if event is None:
            return _invitation("d", "looks for copies within hospitals, across splits and across hospitals.")
        names = sorted(event.pairs)
        parts = [_heading(f"copies, {event.threshold:g} or more alike, of {sum(event.pairs.values()):,} pairs")]
        parts.append(self._copies(event, names, width))
        parts += [_heading("held-out pairs that come back in training pairs"), self._leaks(event, width)]
        if comparison is not None and comparison.total_hospitals > 1:
            compared = [one.hospital for one in comparison.hospitals]
            if comparison.topic_distance:
                parts += [
                    _heading("distance of topics: 0 the same, 1 none in common"),
                    self._distances(compared, comparison.topic_distance, width),
                ]
            parts += [
                _heading("words in common: 1 the same, 0 none"),
                self._distances(compared, comparison.vocabulary_overlap, width),
            ]
        parts += self._examples(event, width)
        return Content("\n").join(parts)

    def _copies(self, event: OverlapMeasured, names: Sequence[str], width: int) -> Content:
        """A matrix where it fits, else the hospitals with most copies."""
        if not event.cells:
            return Content.assemble(("✔ ", "$accent"), "No pair has a copy.")
        matrix = self._matrix(event, names) if len(names) <= SHOWN else None
        if matrix is not None and max(line.cell_length for line in matrix.split("\n")) <= width:
            return Content("\n").join([matrix, _heading("exact + near")])
        most = sorted(event.cells, key=lambda cell: -(cell.exact + cell.near))[:SHOWN]
        columns = [Column("pairs of", "left"), Column("also at", "left"), Column("exact"), Column("near")]
        rows = [(self._named(one.hospital), self._named(one.other), f"{one.exact:,}", f"{one.near:,}") for one in most]
        return table(columns, rows, width)

    def _matrix(self, event: OverlapMeasured, names: Sequence[str]) -> Content:
        """Pairs of the hospital in the row that the one in the column has too; as wide as it has to be."""
        cells = {(cell.hospital, cell.other): cell for cell in event.cells}
        columns = [Column("pairs of", "left"), *(Column(f"at {one_line(name, NAME).plain}") for name in names)]
        rows = [(self._named(name), *(_copies(cells.get((name, other))) for other in names)) for name in names]
        return table(columns, rows, 10_000)

    def _leaks(self, event: OverlapMeasured, width: int) -> Content:
        columns = [Column("hospital", "left"), Column("held out"), Column("its own"), Column("others'")]
        rows: list[tuple[Content | str, ...]] = [
            (self._named(one.hospital), f"{one.held_out:,}", f"{one.own:,}", f"{one.others:,}")
            for one in sorted(event.leaks, key=lambda leak: -(leak.own + leak.others))[:SHOWN]
        ]
        return table(columns, rows, width)

    def _distances(self, names: Sequence[str], values: Sequence[Sequence[float]], width: int) -> Content:
        shown = range(min(len(names), max(1, (width - NAME) // 8)))
        columns = [Column("", "left"), *(Column(one_line(names[at], 6).plain) for at in shown)]
        rows: list[list[Content | str]] = [
            [self._named(names[row]), *(number(values[row][at], 2) for at in shown)] for row in shown
        ]
        left = len(names) - len(shown)
        return table(columns, rows, width) + _heading(f"\n… {left} more hospitals" if left else "")

    def _examples(self, event: OverlapMeasured, width: int) -> list[Content]:
        name = self.partition.hospital if self.partition else ""
        near = [one for one in event.examples if one.hospital == name][:EXAMPLES]
        if not near:
            return []
        lines = [one_line(f"{one.similarity:.2f}  {one.first} ~ {one.second}", width) for one in near]
        return [_heading(f"alike at {safe(name)}"), *lines]

    def _named(self, hospital: str) -> Content:
        drawn = self.hospital_look(hospital)
        return Content.assemble((f"{drawn.mark} ", drawn.hue), one_line(hospital, NAME))


class Phi(PartitionFigure):
    """Identifying text of the chosen hospital, counted by kind, with masked examples."""

    def describe(self, partition: PartitionDescribed, width: int) -> Content:
        """See the class."""
        scan = self.workspace.desk.phi.get(partition.hospital)
        if scan is None:
            return _invitation("f", "looks for names, dates of birth, numbers and addresses.")
        affected = f"{scan.affected:,} of {scan.pairs:,} pairs have a finding"
        if not scan.findings:
            lines = [Content.assemble(("✔ ", "$accent"), f"Nothing found in {scan.pairs:,} pairs.")]
        else:
            lines = [_heading(affected), bars(scan.findings, width)]
        if not scan.names:
            lines.append(
                Content("Names: only those with a title or cue. pip install -e '.[phi]' in the checkout adds a name model.")
            )
        if scan.examples:
            lines.append(_heading("masked examples"))
            lines += [one_line(f"{one.kind}  {one.masked}  {one.pair} {one.field}", width) for one in scan.examples[:EXAMPLES]]
        lines.append(_heading("A scan can miss things and can be wrong."))
        return Content("\n").join(lines)


def _copies(cell: OverlapCell | None) -> Content:
    if cell is None:
        return Content.styled("·", "$muted")
    return Content(f"{cell.exact:,} + {cell.near:,}")


def _heading(text: str) -> Content:
    return Content.styled(text, "$muted")


def _invitation(key: str, what: str) -> Content:
    return Content.assemble((key, "bold $accent"), ("  " + what, "$muted"))
