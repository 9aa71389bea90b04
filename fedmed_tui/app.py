"""The application: five screens over one workspace. It owns the keys, the dialogs and the pace of drawing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from textual import work
from textual.app import App
from textual.command import Provider
from textual.widgets import Input, TextArea

from engine.errors import FedMedError
from engine.protocol import Failure
from engine.settings import RunConfig
from fedmed_tui import runs
from fedmed_tui.commands import FedMedCommands
from fedmed_tui.engine_client import ENGINE_ARGV
from fedmed_tui.export import export_run
from fedmed_tui.keys import BINDINGS, SINGLE_KEYS
from fedmed_tui.state import RunState
from fedmed_tui.styles_cache import let_removed_widgets_go
from fedmed_tui.theme import DARK, LIGHT, THEMES
from fedmed_tui.widgets.text import safe
from fedmed_tui.workspace import Workspace
from screens.aggregator import AggregatorScreen
from screens.base import ModeScreen
from screens.benchmark import BenchmarkScreen
from screens.chat import ChatScreen
from screens.confirm import Answer, ConfirmScreen
from screens.data import DataScreen
from screens.dialog import one_at_a_time
from screens.help import HelpScreen
from screens.run_setup import RunSetupScreen
from screens.runs import RunPickerScreen
from screens.training import TrainingScreen

T = TypeVar("T")

REDRAW_SECONDS = 0.25
"""The current screen is redrawn at most this often."""
FOLLOW_SECONDS = 1.0
"""How often the record of a run in another window is looked at."""
CLOCK_SECONDS = 1.0
"""While a run is in progress its time left is redrawn this often, whatever happens."""

SCREENS: dict[str, type[ModeScreen]] = {
    screen.MODE: screen for screen in (DataScreen, TrainingScreen, AggregatorScreen, BenchmarkScreen, ChatScreen)
}


class FedMedApp(App[None]):
    """The dashboard.

    Args:
        engine_argv: the engine process to run; the real one unless a test says otherwise.
        clock: the time now in Unix seconds.
    """

    TITLE = "FED-MED"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {FedMedCommands}
    DEFAULT_MODE = "training"
    HORIZONTAL_BREAKPOINTS = [(0, "-small"), (80, "-medium"), (120, "-wide")]  # noqa: RUF012 (no class variable to Textual)
    CSS = """
    Screen { background: $background; }
    ModalScreen { background: $background 75%; }
    Footer { background: $panel; FooterKey { background: $panel; } }
    Toast { max-width: 76; }
    DataTable {
        background: $background;
        & > .datatable--header { background: $background; color: $muted; text-style: none; }
    }
    """
    BINDINGS = BINDINGS

    def __init__(self, engine_argv: tuple[str, ...] = ENGINE_ARGV, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        let_removed_widgets_go()
        self.workspace = Workspace(engine_argv, clock)
        self.workspace.on_change = self._state_changed
        self.workspace.on_failure = self._failed
        self._changed = True
        self._drawn_at = 0.0
        for mode, screen in SCREENS.items():
            self.add_mode(mode, lambda screen=screen: screen(self.workspace))  # type: ignore[misc]
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK.name

    @property
    def run_state(self) -> RunState:
        """The run on the screens."""
        return self.workspace.run

    def on_mount(self) -> None:
        """Draw first, then start the engine."""
        self.set_interval(REDRAW_SECONDS, self._redraw)
        self.set_interval(FOLLOW_SECONDS, self.workspace.follow)
        self.call_after_refresh(self._open_engine)

    # --- drawing ---------------------------------------------------------------------------------------------------------------

    def _state_changed(self) -> None:
        self._changed = True

    def _redraw(self) -> None:
        if not self.is_running:  # the screens are being taken down
            return
        due = self.workspace.training and time.monotonic() - self._drawn_at >= CLOCK_SECONDS
        screen = self.screen_stack[0]
        if (self._changed or due) and isinstance(screen, ModeScreen) and screen.is_mounted:
            self._changed, self._drawn_at = False, time.monotonic()
            screen.show_state()

    def _failed(self, failure: Failure) -> None:
        self._complain(str(FedMedError(failure.message, where=failure.where, hint=failure.hint)), failure.title)

    def _complain(self, message: str, title: str) -> None:
        self.notify(safe(message), title=safe(title), severity="error", timeout=12, markup=False)

    # --- the engine ------------------------------------------------------------------------------------------------------------

    @work
    async def _open_engine(self) -> None:
        await self._attempt(self.workspace.open_engine())

    @work(exclusive=True, group="engine")
    async def action_restart_engine(self) -> None:
        """Start a new engine; the run it was working on goes on."""
        await self._attempt(self.workspace.restart_engine())

    async def _attempt(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Await `work`; what goes wrong becomes a toast, and None is returned."""
        try:
            return await work
        except FedMedError as error:
            self._complain(str(error), error.title)
            return None

    async def action_quit(self) -> None:
        """End the engine, then leave."""
        self._quit()

    @one_at_a_time("quit")
    async def _quit(self) -> None:
        if self.workspace.training and not await self._sure("Quit", "The run in progress stops. It can be resumed.", "quit"):
            return
        lost = self.workspace.benchmarks.going is not None
        if lost and not await self._sure("Quit", "The benchmark in progress writes nothing.", "quit"):
            return
        self.notify("Ending the engine.")
        await self.workspace.close()
        self.exit()

    # --- runs ------------------------------------------------------------------------------------------------------------------

    @one_at_a_time("run")
    async def action_start_run(self) -> None:
        """Start what is set up, or go on with a run that was cut short."""
        run = self.run_state
        if not self.workspace.resumable:
            self._start(self.workspace.config)
            return
        question = f"Run {run.run} has done {run.completed} of {run.total_rounds} rounds."
        left = run.completed < run.total_rounds
        go_on = Answer("resume", "r", f"go on with round {run.completed + 1}" if left else "write its end, which is missing")
        answer = await self.push_screen_wait(ConfirmScreen("Start", question, (go_on, Answer("new", "n", "start a new run"))))
        if answer == "resume":
            self._resume(run)
        elif answer == "new":
            self._start(self.workspace.config)

    @one_at_a_time("stop")
    async def action_stop_run(self) -> None:
        """Stop the run in progress, once it is clear that this is meant."""
        question = "Training stops within seconds. Completed rounds are kept, and the run can be resumed."
        if await self._sure("Stop the run", question, "stop"):
            await self._attempt(self.workspace.stop_run())

    @one_at_a_time("run")
    async def action_set_up_run(self) -> None:
        """Ask for the settings of a new run, then start it."""
        if self.workspace.training:
            self.notify("A run is in progress. Stop it first (s).", severity="warning")
            return
        config = await self.push_screen_wait(RunSetupScreen(self.workspace.config))
        if config is None:
            return
        self._start(config)
        self.switch_mode("training")

    @one_at_a_time("run")
    async def action_open_run(self) -> None:
        """Choose an earlier run, to look at or to go on with."""
        live = self.workspace.live.run if self.workspace.training else None
        chosen = await self.push_screen_wait(RunPickerScreen(live))
        if chosen is None:
            return
        what, name = chosen
        state = await self._attempt(asyncio.to_thread(runs.load_state, name))
        if state is None:
            return
        if what == "resume" and not self.workspace.training:
            self._resume(state)
        else:
            self.workspace.show_run(state)
        self.switch_mode("training")

    def action_leave_run(self) -> None:
        """Put the run in progress back on the screens."""
        self.workspace.leave_run()

    def _start(self, config: RunConfig) -> None:
        try:
            self.workspace.start_run(config)
        except FedMedError as error:
            self._complain(str(error), error.title)

    def _resume(self, state: RunState) -> None:
        try:
            self.workspace.resume_run(state)
        except FedMedError as error:
            self._complain(str(error), error.title)

    async def _sure(self, title: str, question: str, verb: str) -> bool:
        answers = (Answer("no", "n", "no, go on"), Answer("yes", "y", f"yes, {verb}"))
        return await self.push_screen_wait(ConfirmScreen(title, question, answers)) == "yes"

    # --- everything else -------------------------------------------------------------------------------------------------------

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        """Write the numbers of the run on the screens, and a picture of the screen."""
        run, picture = self.run_state.run, self.export_screenshot()
        if not run:
            self.notify("Start a run or open one: there are no numbers yet.", title="Nothing to export", severity="warning")
            return
        path = await self._attempt(asyncio.to_thread(export_run, run, screen_svg=picture))
        if path is not None:
            self.notify(str(path), title="Snapshot written", timeout=10, markup=False)

    async def action_show_mode(self, mode: str) -> None:
        """Go to a screen; in the chat, to its input."""
        await self.switch_mode(mode)
        if isinstance(self.screen, ChatScreen):
            self.screen.action_type()

    async def action_go(self, mode: str) -> None:
        """Go to a screen by a click, which works while something is typed."""
        await self.action_show_mode(mode)

    async def chat_with(self, adapter: str) -> None:
        """Go to the chat with one adapter."""
        await self.action_show_mode("chat")
        if isinstance(self.screen, ChatScreen):
            self.screen.choose(adapter)

    def action_help(self) -> None:
        """Show the keys of this screen."""
        self.push_screen(HelpScreen(self.screen.active_bindings))

    def action_toggle_theme(self) -> None:
        """Dark to light and back."""
        self.theme = LIGHT.name if self.current_theme.dark else DARK.name

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what makes sense now; while something is typed, single keys belong to it."""
        if action in SINGLE_KEYS and isinstance(self.focused, Input | TextArea):
            return False
        return self.makes_sense(action)

    def makes_sense(self, action: str) -> bool:
        """Whether there is something for an action to do now, by its key or from the palette."""
        workspace = self.workspace
        died = workspace.status.exit is not None
        offered = {
            "start_run": not workspace.training and not died,
            "stop_run": workspace.training and not workspace.stopping,
            "restart_engine": died,
            "leave_run": workspace.opened is not None,
            "command_palette": len(self.screen_stack) == 1,  # its commands are for the screen below the dialog that is open
        }
        return offered.get(action, True)
