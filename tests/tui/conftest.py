"""What the tests of the screen share: an application over a fake or a silent engine, and how to wait for something."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.protocol import Stamped
from fedmed_tui.app import FedMedApp
from fedmed_tui.workspace import Workspace

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for `script`, which the fake engine imports as well

import script  # noqa: E402

SILENT = (sys.executable, "-c", "import sys; sys.stdin.read()")
SIZES = [(60, 20), (80, 24), (120, 36)]


@pytest.fixture(autouse=True)
def _working_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test of the screen touches the user's runs; times of day are those of UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.fixture
def app() -> FedMedApp:
    """The application over an engine that never says a word: tests feed it events with `tell`."""
    return FedMedApp(engine_argv=SILENT, clock=lambda: script.START + 240)


@pytest.fixture
def fake_app() -> FedMedApp:
    """The application over the fake engine, whose run takes about two seconds."""
    return FedMedApp(engine_argv=fake_engine(0.01))


@pytest.fixture
def slow_app() -> FedMedApp:
    """The application over the fake engine, whose run takes longer than any test."""
    return FedMedApp(engine_argv=fake_engine(0.15))


def fake_engine(pace: float) -> tuple[str, ...]:
    """The fake engine's command line."""
    return (sys.executable, str(HERE / "fake_engine.py"), "--pace", str(pace))


async def tell(pilot: Pilot[None], events: list[Stamped]) -> None:
    """Let the application hear the events of a run, and wait until the current screen shows them."""
    app = pilot.app
    assert isinstance(app, FedMedApp)
    await until(pilot, lambda: app.workspace.data_job)  # the engine was started, which forgets what was known before
    with run_asked_for(app.workspace):
        for stamped in events:
            app.workspace.take(stamped)
    await redraw(pilot)


@contextmanager
def run_asked_for(workspace: Workspace) -> Iterator[None]:
    """What the workspace hears meanwhile belongs to a run that it has asked for."""
    before, workspace.run_job = workspace.run_job, workspace.run_job or "run-1"
    yield
    workspace.run_job = before


async def redraw(pilot: Pilot[None]) -> None:
    """Draw now instead of at the next tick."""
    await pilot.pause()
    show = getattr(pilot.app.screen_stack[0], "show_state", None)
    assert show is not None
    show()
    await pilot.pause()


async def until(pilot: Pilot[None], what: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until `what()` is true, and a screen that was opened for it is there."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited too long; the screen shows:\n" + text_of(pilot)
        await pilot.pause(0.02)
    await pilot.pause(0)


def text_of(pilot: Pilot[None]) -> str:
    """The whole screen as text, line by line."""
    screen = pilot.app.screen
    width, height = pilot.app.size
    strips = screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip)[:width] for strip in strips[:height])


def colours_of(pilot: Pilot[None]) -> set[str]:
    """Every colour that something on the screen is written in, as `#rrggbb`."""
    segments = (segment for strip in pilot.app.screen._compositor.render_strips() for segment in strip)
    styles = (segment.style for segment in segments if segment.style and segment.text.strip())
    return {style.color.get_truecolor().hex for style in styles if style.color}
