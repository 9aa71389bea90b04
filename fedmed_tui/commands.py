"""The command palette (ctrl+p): every action of the application by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from fedmed_tui.widgets.text import plain

if TYPE_CHECKING:
    from fedmed_tui.app import FedMedApp


@dataclass(frozen=True)
class PaletteCommand:
    """One entry: its name, what it does, and how."""

    name: str
    help: str
    act: Callable[[], object]


class FedMedCommands(Provider):
    """Offers what `FedMedApp.palette_commands` lists. Names may hold text from outside, so they are never parsed as markup."""

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
        return cast("FedMedApp", self.app).palette_commands()
