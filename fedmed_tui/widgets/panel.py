"""Boxes that hold figures: a titled panel that scrolls, and a deck of panels that becomes tabs where there is little room."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.events import Click
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static


class Scroll(VerticalScroll):
    """Scrolls when its content is taller than it; with `follow` the end stays in sight while it grows.

    An anchor alone would also push short content to the bottom, and a person who scrolls up to read would be pulled away.
    """

    DEFAULT_CSS = """
    Scroll { scrollbar-size-vertical: 1; }
    """
    follow = False

    def watch_virtual_size(self) -> None:
        """The content grew or shrank."""
        self.call_after_refresh(self._anchor_if_tall)

    def on_resize(self) -> None:
        """The room grew or shrank."""
        self._anchor_if_tall()

    def _anchor_if_tall(self) -> None:
        tall = self.follow and self.virtual_size.height > self.size.height > 0
        if tall != self.is_anchored:
            self.anchor(tall)


class Panel(Scroll):
    """A titled box. Tab goes from one to the next, the arrow keys scroll the one that has the focus.

    Args:
        title: one of this program's own words, never text from outside.
        content: what is in it.
        tab: a shorter title for the row of names; the title itself when empty.
        follow: keep its end in sight while it grows.
    """

    DEFAULT_CSS = """
    Panel {
        border: round $line;
        border-title-color: $muted;
        border-subtitle-color: $muted;
        padding: 0 1;
        height: 1fr;
    }
    Panel:focus { border: round $accent; }
    """

    def __init__(
        self, title: str, *content: Widget, tab: str = "", id: str | None = None, classes: str | None = None, follow: bool = False
    ) -> None:
        super().__init__(*content, id=id, classes=classes)
        self.border_title = title
        self.tab = tab or title
        self.follow = follow


class Tab(Static):
    """The name of one panel of a deck; a click chooses it."""

    DEFAULT_CSS = """
    Tab {
        width: auto; padding: 0 1; color: $muted;
        &.-chosen { color: $foreground; text-style: bold underline; }
        &:hover { color: $accent; }
    }
    """

    def __init__(self, panel: Panel, index: int) -> None:
        super().__init__(Content(panel.tab), classes="only-small" if panel.has_class("only-small") else "")
        self.index = index

    def on_click(self, event: Click) -> None:
        """Show my panel."""
        event.stop()
        self.query_ancestor(Deck).chosen = self.index


class Deck(Container):
    """Panels below each other where there is room; where the screen is narrow, one at a time under a row of names.

    Panels with the class `only-small` take part on the smallest screens alone, those with `only-narrow` not on wide ones.
    """

    SCOPED_CSS = False

    DEFAULT_CSS = """
    Deck { height: 1fr; layout: vertical; }
    Deck > #tabs { display: none; height: 1; layout: horizontal; padding: 0 1; }
    Deck > .only-small, Deck > .only-narrow, .-medium Deck Tab.only-small { display: none; }
    Deck .hint { width: 1fr; text-align: right; color: $muted; }
    .-medium Deck > #tabs, .-small Deck > #tabs { display: block; }
    .-medium Deck > Panel, .-small Deck > Panel { display: none; height: 1fr; max-height: 100%; }
    .-medium Deck > Panel.-chosen, .-small Deck > Panel.-chosen { display: block; }
    """

    chosen: reactive[int] = reactive(0, init=False)

    def __init__(self, *panels: Panel, id: str | None = None) -> None:
        super().__init__(id=id)
        self._panels = panels

    def compose(self) -> ComposeResult:
        """The row of names, then the panels."""
        tabs = [Tab(panel, index) for index, panel in enumerate(self._panels)]
        yield Container(*tabs, Static(Content.assemble(("v", "$accent"), " next view"), classes="hint"), id="tabs")
        yield from self._panels

    def on_mount(self) -> None:
        """Choose the first panel."""
        self._mark()

    def next_panel(self) -> None:
        """Choose the panel after the chosen one."""
        offered = [tab.index for tab in self.query(Tab) if tab.display]
        later = [index for index in offered if index > self.chosen]
        self.chosen = min(later or offered)

    def watch_chosen(self) -> None:
        """Show the chosen panel."""
        self._mark()

    def on_resize(self) -> None:
        """The chosen panel may be one that this size does not offer."""
        if not any(tab.display for tab in self.query(Tab) if tab.index == self.chosen):
            self.chosen = 0

    def _mark(self) -> None:
        for tab in self.query(Tab):
            tab.set_class(tab.index == self.chosen, "-chosen")
            if tab.index == self.chosen:
                tab.scroll_visible(animate=False, force=True)  # the row may be longer than the screen
        for index, panel in enumerate(self._panels):
            panel.set_class(index == self.chosen, "-chosen")
