"""The activity feed: what happened, in sentences, with the time."""

from __future__ import annotations

import time

from textual.content import Content

from fedmed_tui.feed import FeedLine
from fedmed_tui.widgets.figure import Figure
from fedmed_tui.widgets.text import plain

SHOWN = 50
"""Sentences kept on the screen; the record has them all."""
INDENT = 7


class Feed(Figure):
    """The latest sentences of the run, newest last."""

    LINES_FIT = True

    def picture(self, width: int) -> Content:
        """See the class."""
        lines = self.run_state.feed[-SHOWN:]
        if not lines:
            return Content.styled("Nothing has happened yet.", "$muted")
        return Content("\n").join(_entry(line, width) for line in lines)


def _entry(line: FeedLine, width: int) -> Content:
    """The time, then the sentence, wrapped beside it."""
    first, *more = plain(line.text).wrap(max(width - INDENT, 20))
    clock = time.strftime("%H:%M", time.localtime(line.time))
    start = Content.assemble((f"{clock}  ", "$muted"), first)
    return Content("\n").join([start, *(Content(" " * INDENT) + rest for rest in more)])
