"""Every key of the application, with its name and what it does: the footer, the help and the palette are made from these.

Each has an id, so that a person's keymap can move it.
"""

from __future__ import annotations

from textual.binding import Binding, BindingType

from fedmed_tui.widgets.header import MODES

SINGLE_KEYS = frozenset(
    ("start_run", "stop_run", "restart_engine", "set_up_run", "open_run", "leave_run", "show_mode", "toggle_theme")
)
"""Actions on keys that are also letters or digits."""


def _key(key: str, action: str, title: str, more: str, *, id: str, show: bool = False, priority: bool = False) -> Binding:
    display = key.upper() if key == "f1" else None
    return Binding(key, action, title, tooltip=more, id=id, show=show, priority=priority, key_display=display)


BINDINGS: list[BindingType] = [
    _key("s", "start_run", "Start", "train the demo, or what was set up last", id="run.start", show=True),
    _key("s", "stop_run", "Stop", "stop the run in progress; it can be resumed", id="run.stop", show=True),
    _key("r", "restart_engine", "Restart", "start a new engine and go on with the run", id="engine.restart", show=True),
    _key("n", "set_up_run", "New run", "choose data, model, rounds and seed", id="run.setup", show=True),
    _key("c", "show_mode('chat')", "Chat", "ask a model, also while training runs", id="mode.chat.letter", show=True),
    _key("ctrl+e", "export", "Export", "write the run's numbers and this screen", id="export", show=True, priority=True),
    _key("ctrl+p", "command_palette", "Palette", "every action by name", id="palette", show=True, priority=True),
    _key("f1", "help", "Help", "this page", id="help", show=True),
    _key("o", "open_run", "Open run", "look at an earlier run, or resume it", id="run.open"),
    _key("l", "leave_run", "Live run", "back to the run in progress", id="run.live"),
    *(
        _key(str(number), f"show_mode('{mode}')", title, f"the {title} screen", id=f"mode.{mode}")
        for number, (mode, title) in enumerate(MODES.items(), start=1)
    ),
    _key("t", "toggle_theme", "Light or dark", "the other theme", id="theme"),
    _key("ctrl+q", "quit", "Quit", "end the engine and leave; a run can be resumed", id="quit", priority=True),
]
