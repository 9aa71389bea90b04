"""The line of keys at the bottom of a screen."""

from __future__ import annotations

from textual.widgets import Footer


class KeyLine(Footer):
    """A footer that lets go of the keys it showed before.

    Textual's own binds each key it shows to its `compact` setting and keeps it until that setting changes, which is never: after
    a thousand changes of the screen that is a hundred megabytes of keys nobody sees.
    """

    async def recompose(self) -> None:
        """Show other keys, and forget those that are gone."""
        await super().recompose()
        self.mutate_reactive(Footer.compact)  # what watches a setting is looked through, and dropped, when it changes
