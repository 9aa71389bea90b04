"""A hospital's pairs as somebody leafs through them: pages come from the engine when they are looked at, and few are kept."""

from __future__ import annotations

from collections import OrderedDict

from engine.protocol import BrowsedPair, BrowsePairs, PairsPage
from fedmed_tui.datadesk import DataDesk, only

PAGE = 100
"""Pairs in one page."""
KEPT = 30
"""Pages kept; the ones not looked at for longest go first."""


class PairBook:
    """The pairs of one hospital that fit one query.

    Args:
        desk: who asks the engine.
        folder: the data folder.
        query: only pairs with all these words; empty is all.
    """

    def __init__(self, desk: DataDesk, folder: str, hospital: str, query: str = "") -> None:
        self._desk = desk
        self.folder = folder
        self.hospital = hospital
        self.query = query
        self.matches = 0
        """Pairs that fit the query; 0 before the first page."""
        self.total = 0
        """Pairs of the hospital."""
        self._pages: OrderedDict[int, tuple[BrowsedPair, ...]] = OrderedDict()

    def pair(self, at: int) -> BrowsedPair | None:
        """The pair at a place (from 0), or None while its page has not come."""
        page, place = divmod(at, PAGE)
        pairs = self._pages.get(page, ())
        if page in self._pages:
            self._pages.move_to_end(page)
        return pairs[place] if place < len(pairs) else None

    def has(self, at: int) -> bool:
        """The page that holds a place is here."""
        return at // PAGE in self._pages

    async def load(self, at: int) -> None:
        """Fetch the page that holds a place, if it is not here. Raises FedMedError."""
        if self.has(at):
            return
        page = at // PAGE
        command = BrowsePairs(
            job="", folder=self.folder, hospital=self.hospital, query=self.query, offset=page * PAGE, limit=PAGE
        )
        answer = only(await self._desk.ask(command), PairsPage)
        self._pages[page] = answer.pairs
        self.matches, self.total = answer.matches, answer.total
        while len(self._pages) > KEPT:
            self._pages.popitem(last=False)
