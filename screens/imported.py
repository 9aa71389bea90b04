"""What an import did: where every row went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.protocol import ImportFinished, PartitionDescribed, RejectsFound
from fedmed_tui.splits import untested
from fedmed_tui.units import duration
from fedmed_tui.widgets.text import Column, plain, table
from screens.dialog import Dialog

WIDTH = 64
ROWS = 12


class ImportedScreen(Dialog[None]):
    """Counts of an import that is complete.

    Args:
        event: what the engine says of it.
        partitions: what each hospital got.
        rejects: rows that could not be used, if there were any.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "leave", "Close", id="imported.close", tooltip="back to the data")
    ]

    def __init__(self, event: ImportFinished, partitions: Sequence[PartitionDescribed], rejects: RejectsFound | None) -> None:
        super().__init__()
        self._event = event
        self._untested = untested(partitions)
        self._rejects = rejects

    def compose(self) -> ComposeResult:
        """Sentences and short tables."""
        with VerticalScroll(classes="box") as box:
            box.border_title = "Imported"
            box.border_subtitle = "↑ ↓ scroll · Esc close"
            yield Static(Content("\n").join(self._parts()), markup=False)

    def on_mount(self) -> None:
        """So that arrows scroll."""
        self.query_one(".box").focus()

    def _parts(self) -> Iterator[Content]:
        event = self._event
        yield plain(f"{event.kept:,} pairs of {event.rows:,} rows, in {duration(event.seconds)}.").stylize("bold")
        yield plain(f"{event.kind}, into {event.target}")
        fields: dict[str, str] = msgspec.structs.asdict(event.mapping)
        named = {role: field for role, field in {**fields, "hospital": event.hospital_field}.items() if field}
        yield plain("Fields: " + ", ".join(f"{role} from {field}" for role, field in named.items()) + ".")
        yield from _counts("pairs by hospital", event.hospitals)
        if self._untested:
            yield Content.assemble(("! ", "$warning"), plain(self._untested))
        yield from _counts("left out on purpose", event.dropped)
        yield from _counts("cannot be used", self._rejects.reasons if self._rejects else {})
        if self._rejects:
            yield plain(f"Every such row is listed in {self._rejects.file}.")
        yield from _counts("texts cleaned", event.cleaned)
        yield from _counts("replaced by placeholders", event.deidentified)


def _counts(title: str, counts: Mapping[str, int]) -> Iterator[Content]:
    if not counts:
        return
    rows = [(name, f"{number:,}") for name, number in list(counts.items())[:ROWS]]
    yield Content("")
    yield table([Column(title, "left"), Column("")], rows, WIDTH)
    if len(counts) > ROWS:
        yield Content.styled(f"… and {len(counts) - ROWS:,} more", "$muted")
