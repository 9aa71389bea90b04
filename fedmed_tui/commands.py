"""The command palette (ctrl+p): every action of the application by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.actions import parse
from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider

from fedmed_tui.widgets.adapter_list import choices
from fedmed_tui.widgets.text import plain
from screens.base import ModeScreen

if TYPE_CHECKING:
    from fedmed_tui.app import FedMedApp


@dataclass(frozen=True)
class PaletteCommand:
    """One entry: its name, what it does, and how."""

    name: str
    help: str
    act: Callable[[], object]


class FedMedCommands(Provider):
    """Offers what makes sense now. Names may hold text from outside, so they are never parsed as markup."""

    async def discover(self) -> Hits:
        """Everything, before anything is typed."""
        for one in self._commands():
            yield DiscoveryHit(plain(one.name), one.act, text=one.name, help=one.help)

    async def search(self, query: str) -> Hits:
        """What fits what was typed."""
        matcher = self.matcher(query)
        for one in self._commands():
            score = matcher.match(one.name)
            if score > 0:
                yield Hit(score, plain(one.name), one.act, text=one.name, help=one.help)

    def _commands(self) -> list[PaletteCommand]:
        return offered(cast("FedMedApp", self.app))


def offered(app: FedMedApp) -> list[PaletteCommand]:
    """Every action of the application and of the current screen, then one entry per model to chat with."""
    screen = app.screen_stack[0]
    assert isinstance(screen, ModeScreen)
    found = []
    for owner in (app, screen):
        for binding in owner.BINDINGS:
            assert isinstance(binding, Binding)
            _, action, parameters = parse(binding.action)
            if action != "command_palette" and owner.makes_sense(action):
                act = partial(getattr(owner, f"action_{action}"), *parameters)
                found.append(PaletteCommand(binding.description, binding.tooltip, act))
    for one in choices(app.workspace, dark=app.current_theme.dark):
        found.append(PaletteCommand(f"Chat with {one.title}", "ask this model", partial(app.chat_with, one.adapter)))
    return found
