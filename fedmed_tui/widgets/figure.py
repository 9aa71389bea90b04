"""The base of everything that pictures the workspace: drawn on demand, for the width it has, and only when it changed."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from textual.content import Content
from textual.widgets import Static

from fedmed_tui.state import RunState
from fedmed_tui.theme import Look, look
from fedmed_tui.workspace import Workspace


class Figure(Static):
    """A picture of the workspace in text. Subclasses say what it looks like at a width.

    Args:
        workspace: what is pictured.
    """

    DEFAULT_CLASSES = "figure"
    DEFAULT_CSS = """
    Figure.-fitting { text-wrap: nowrap; }
    """
    LINES_FIT: ClassVar[bool] = False
    """No line of the picture is wider than it may be: nothing is wrapped, and as many lines need as much room as before."""

    def __init__(self, workspace: Workspace, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, markup=False)
        self.set_class(self.LINES_FIT, "-fitting")
        self.workspace = workspace
        self._drawn = Content("")

    @abstractmethod
    def picture(self, width: int) -> Content:
        """The content for a width in cells."""

    @property
    def run_state(self) -> RunState:
        """The run on the screens."""
        return self.workspace.run

    def draw(self) -> None:
        """Bring the picture up to date."""
        if not self.is_mounted or self.size.width == 0:
            return
        content = self.picture(self.size.width)
        if not content.is_same(self._drawn):
            layout = not self.LINES_FIT or content.plain.count("\n") != self._drawn.plain.count("\n")
            self._drawn = content
            self.update(content, layout=layout)

    @property
    def hospitals(self) -> list[str]:
        """Hospitals' names; the place of each decides how it looks."""
        return [one.name for one in self.run_state.hospitals] or sorted(self.workspace.partitions)

    def hospital_look(self, hospital: str) -> Look:
        """A hospital's mark and hue in the current theme."""
        names = self.hospitals
        place = names.index(hospital) if hospital in names else len(names)
        return look(place, dark=self.app.current_theme.dark)

    def on_resize(self) -> None:
        """Another width, another picture; its height counts once the layout in progress is done."""
        before = self._drawn
        self.draw()
        if self._drawn is not before:
            self.call_after_refresh(self._settle)

    def _settle(self) -> None:
        """The new picture may have brought a scroll bar, which takes a cell of its width."""
        self.draw()
        self.refresh(layout=True)

    def on_show(self) -> None:
        """It may have changed while hidden."""
        self.draw()
