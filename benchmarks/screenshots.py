"""Pictures for the documentation, taken from the real application with a real run and a real answer.

    python benchmarks/screenshots.py [--run NAME] [--folder docs]

Without `--run` the demo is trained first (some minutes). Writes `screenshot.svg` (the Training screen) and
`screenshot-<screen>.svg` for the others, 120 columns by 36 lines.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from fedmed_tui import runs
from fedmed_tui.app import FedMedApp
from fedmed_tui.widgets.adapter_list import AdapterList

SIZE = (120, 36)
QUESTION = "What are the symptoms of type 2 diabetes?"
ANSWER_TOKENS = 60
"""The answer is stopped about here, so that it fits the picture."""


async def until(app: FedMedApp, pilot: Pilot[None], reached: Callable[[], object]) -> None:
    """Wait for a state; give up when the engine did."""
    while not reached():
        if app.workspace.status.exit is not None:
            raise SystemExit(app.workspace.status.exit.sentence)
        await pilot.pause(0.1)


async def picture(app: FedMedApp, pilot: Pilot[None], path: Path) -> None:
    """Write what is on the screen."""
    await asyncio.sleep(1.0)  # the next redraw
    await pilot.pause()
    path.write_text(app.export_screenshot(title="fedmed-tui"), encoding="utf-8")
    print(path)


async def answer(app: FedMedApp, pilot: Pilot[None]) -> None:
    """Ask those that are chosen, and wait for enough of the first answer."""
    await pilot.press(*QUESTION, "enter")
    await until(app, pilot, lambda: app.workspace.chat.job)
    exchange = app.workspace.conversation(app.screen.query_one(AdapterList).adapters).exchanges[-1]
    await until(app, pilot, lambda: not exchange.open or len(exchange.answer.text.split()) > ANSWER_TOKENS)
    await pilot.press("escape")
    await until(app, pilot, lambda: not app.workspace.chat.job)


async def take(run: str, folder: Path) -> None:
    """All pictures, in order."""
    app = FedMedApp()
    async with app.run_test(size=SIZE) as pilot:
        await until(app, pilot, lambda: app.workspace.status.ready and not app.workspace.data_job)
        if run:
            app.workspace.show_run(runs.load_state(run))
        else:
            await pilot.press("s")
            await until(app, pilot, lambda: app.run_state.finished and not app.workspace.training)
        await app.chat_with(app.run_state.hospitals[1].name)
        await answer(app, pilot)
        await picture(app, pilot, folder / "screenshot-chat.svg")
        await pilot.press("f4")
        await answer(app, pilot)
        await picture(app, pilot, folder / "screenshot-compare.svg")
        await pilot.press("escape")
        for key, name in (("1", "data"), ("3", "aggregator"), ("4", "benchmark")):
            await pilot.press(key)
            await picture(app, pilot, folder / f"screenshot-{name}.svg")
        await pilot.press("2")
        await picture(app, pilot, folder / "screenshot.svg")
        await app.workspace.close()


def main() -> None:
    """Take the pictures in the working folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", default="", help="a finished run of the working folder; the demo is trained when not given")
    parser.add_argument("--folder", type=Path, default=Path("docs"), help="where the pictures go")
    options = parser.parse_args()
    asyncio.run(take(options.run, options.folder))


if __name__ == "__main__":
    main()
