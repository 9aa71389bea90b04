"""What the five screens have in common: header, banner, footer, and being redrawn while they are the current one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, Protocol, cast

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.screen import Screen
from textual.theme import Theme
from textual.widget import Widget

from fedmed_tui.widgets.footer import KeyLine
from fedmed_tui.widgets.header import Banner, StatusHeader
from fedmed_tui.widgets.panel import Deck
from fedmed_tui.workspace import Workspace


class Drawable(Protocol):
    """Anything with the class `figure`."""

    def draw(self) -> None:
        """Bring the picture up to date."""


class ModeScreen(Screen[None]):
    """One of the five screens.

    Args:
        workspace: what it shows.
    """

    MODE = ""
    APP_KEYS: ClassVar[frozenset[str] | None] = None
    """Ids of the application's keys that the footer shows here, where there is no room for all; the others still work."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "next_panel", "Next view", show=False, id="view.next", tooltip="on a narrow screen: the next panel")
    ]
    AUTO_FOCUS = ""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self._figures: list[Drawable] = []
        self._keys: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Header and banner, what the screen is about, footer."""
        yield StatusHeader(self.workspace, self.MODE)
        yield Banner(self.workspace)
        yield from self.body()
        yield KeyLine(show_command_palette=False)

    def body(self) -> Iterable[Widget]:
        """The widgets between header and footer."""
        raise NotImplementedError

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """Keys of this screen first, those of the application after them, quitting last."""
        found = super().active_bindings.items()
        ordered = sorted(found, key=lambda item: (item[1].node is self.app, item[1].binding.id == "quit"))
        return {key: one if self._in_footer(one) else _unshown(one) for key, one in ordered}

    def _in_footer(self, active: ActiveBinding) -> bool:
        return self.APP_KEYS is None or active.node is not self.app or active.binding.id in self.APP_KEYS

    def on_mount(self) -> None:
        """Remember what has to be redrawn; hospitals' hues follow the theme."""
        self._figures = [cast(Drawable, widget) for widget in self.query(".figure")]
        self.app.theme_changed_signal.subscribe(self, self._theme_changed)

    def show_state(self) -> None:
        """Bring everything on the screen up to date. Called at most four times a second, on the current screen alone."""
        for figure in self._figures:
            figure.draw()
        keys = self.key_state()
        if keys != self._keys:
            self._keys = keys
            self.refresh_bindings()

    def key_state(self) -> tuple[object, ...]:
        """What decides which keys there are: the footer is drawn again when it changes. Screens add what their own keys need."""
        workspace = self.workspace
        status = workspace.status
        answering, own = bool(workspace.chat.job), workspace.opened is None
        return workspace.training, workspace.stopping, answering, status.ready, status.exit, own

    def _theme_changed(self, theme: Theme) -> None:
        if self.is_current:
            self.show_state()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what makes sense now."""
        return self.makes_sense(action)

    def makes_sense(self, action: str) -> bool:
        """Whether there is something for an action to do now, by its key or from the palette. Screens know their own."""
        return True

    def on_screen_resume(self) -> None:
        """Much may have happened meanwhile."""
        self.call_after_refresh(self.show_state)

    def action_next_panel(self) -> None:
        """Turn every deck to its next panel."""
        for deck in self.query(Deck):
            deck.next_panel()


def _unshown(active: ActiveBinding) -> ActiveBinding:
    return active._replace(binding=replace(active.binding, show=False))
