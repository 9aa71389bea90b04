"""An exported snapshot's report, to read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from fedmed_tui.export import read_report
from fedmed_tui.widgets.markdown import MarkdownText
from screens.dialog import Dialog


class ExportedScreen(Dialog[None]):
    """Read what ctrl+e has written.

    Args:
        folder: the snapshot's own folder.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "leave", "Close", id="exported.close", tooltip="back to the list")
    ]
    DEFAULT_CSS = """
    ExportedScreen {
        & > .box { width: 110; height: 90%; }
    }
    ExportedScreen.-small > .box, ExportedScreen.-medium > .box { height: 100%; }
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def compose(self) -> ComposeResult:
        """A page that scrolls, with its place below."""
        with VerticalScroll(classes="box") as box:
            box.border_title = "Exported"
            box.border_subtitle = "↑ ↓ scroll · Esc back"
            yield MarkdownText()

    def on_mount(self) -> None:
        """Read the file without holding up the screen."""
        self.query_one(".box").focus()
        self._show()

    @work
    async def _show(self) -> None:
        text = await asyncio.to_thread(read_report, self._folder)
        self.query_one(MarkdownText).write(f"`{self._folder}`\n\n{text}")
