"""Run set-up, run picker, help, palette and export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import script
from conftest import SIZES, redraw, tell, text_of, until
from textual.events import Key
from textual.widgets import Input, Select, Static

from engine import locations
from engine.protocol import encode_event
from engine.settings import DEMO, RunConfig
from fedmed_tui.app import FedMedApp
from fedmed_tui.commands import offered
from fedmed_tui.datadesk import Task
from fedmed_tui.runs import load_state
from screens.chat_manner import MannerScreen
from screens.dialog import Dialog
from screens.import_data import ImportScreen
from screens.measure import MeasureScreen
from screens.partition_data import PartitionScreen
from screens.run_setup import RunSetupScreen
from screens.runs import RunPickerScreen


def write_run(name: str = script.RUN, *, completed: int = 3) -> None:
    """A run folder as the engine leaves it."""
    folder = locations.run_folder(name)
    folder.mkdir(parents=True)
    events = list(script.run_events(name))
    if completed < 3:
        events = [one for one in events[:-1] if getattr(one, "round", 0) <= completed]
    (folder / "events.jsonl").write_bytes(b"".join(encode_event(one) for one in script.stamped(events)))
    manifest = {
        "schema": 1,
        "run": name,
        "config": msgspec.to_builtins(DEMO),
        "created": script.START,
        "version": "0.1.0",
        "completed": completed,
        "rounds": 3,
        "status": "done" if completed == 3 else "running",
        "hospitals": ["A", "B", "C"],
    }
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))


# --- run set-up ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "typed", "complaint"),
    [
        ("training-rounds", "0", "expected a whole number >= 1"),
        ("training-rounds", "three", "must be a whole number"),
        ("data-max-pairs", "-1", "expected a whole number >= 0"),
        ("seed", "99999999999", "expected a whole number <= 2147483647"),
        ("data-folder", "no/such/folder", "there is no such folder"),
        ("model-source", "", "expected text of length >= 1"),
    ],
)
async def test_a_wrong_setting_is_told_below_its_field_and_does_not_start(
    app: FedMedApp, field: str, typed: str, complaint: str
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("n")
        await pilot.pause()
        app.screen.query_one(f"#{field}", Input).value = typed
        await pilot.pause()

        note = str(app.screen.query_one(f"#{field}-note", Static).content)
        await pilot.press("ctrl+s")
        await pilot.pause()

        assert complaint in note
        assert not app.workspace.training
        assert app.focused is app.screen.query_one(f"#{field}", Input)


async def test_a_run_starts_with_what_was_typed(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("1", "n")
        await pilot.pause()
        fake_app.screen.query_one("#training-rounds", Input).value = "2"
        fake_app.screen.query_one("#seed", Input).value = "11"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: fake_app.run_state.finished)

        config = fake_app.run_state.config

    assert config is not None
    assert (config.training.rounds, config.seed, config.preset) == (2, 11, "demo")
    assert fake_app.run_state.completed == 2


async def test_another_preset_fills_the_fields(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("n")
        await pilot.pause()
        app.screen.query_one(Select).value = "reference"
        await pilot.pause()

        assert app.screen.query_one("#model-source", Input).value == "mistralai/Mistral-7B-Instruct-v0.2"


@pytest.mark.parametrize("size", SIZES)
async def test_the_start_button_is_on_the_screen_at_every_size(app: FedMedApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await pilot.press("n")
        await pilot.pause()

        assert "Start the run" in text_of(pilot)


# --- earlier runs --------------------------------------------------------------------------------------------------------------


async def test_an_earlier_run_can_be_opened_and_looked_at(app: FedMedApp) -> None:
    write_run()
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: script.RUN in text_of(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: app.run_state.run == script.RUN)
        await redraw(pilot)

        assert "finished in 3 min 00 s" in text_of(pilot)


async def test_a_run_that_was_cut_off_can_be_resumed_from_the_list(fake_app: FedMedApp) -> None:
    write_run("cut-off", completed=1)
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("o")
        await until(pilot, lambda: "▷ cut off" in text_of(pilot))
        await pilot.press("r")

        await until(pilot, lambda: fake_app.run_state.finished)

    assert fake_app.run_state.run == "cut-off"
    assert fake_app.run_state.completed == 3


async def test_a_run_that_was_cut_off_after_its_last_round_can_be_closed_from_the_list(slow_app: FedMedApp) -> None:
    write_run("cut-off")
    manifest = locations.run_folder("cut-off") / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"done"', '"running"'))
    async with slow_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: slow_app.workspace.status.ready)
        await pilot.press("o")
        await until(pilot, lambda: "▷ cut off" in text_of(pilot))
        await pilot.press("r")

        await until(pilot, lambda: slow_app.workspace.training)


async def test_s_closes_the_run_on_the_screens_when_only_its_end_is_missing(fake_app: FedMedApp) -> None:
    write_run(completed=3)
    events = locations.run_folder(script.RUN) / "events.jsonl"
    events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:-1]))
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        fake_app.workspace.show_run(load_state(script.RUN))
        await pilot.press("s")
        await until(pilot, lambda: "write its end" in text_of(pilot))
        await pilot.press("r")

        await until(pilot, lambda: fake_app.run_state.finished)
        assert fake_app.run_state.run == script.RUN


async def test_runs_that_cannot_be_read_are_counted_in_the_list(app: FedMedApp) -> None:
    write_run()
    write_run("old")
    (locations.run_folder("old") / "manifest.json").write_text('{"schema": 0}')
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("o")

        await until(pilot, lambda: "Not listed: 1 of another version or damaged" in text_of(pilot))
        assert script.RUN in text_of(pilot)


async def test_a_finished_run_is_not_resumed(app: FedMedApp) -> None:
    write_run()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: script.RUN in text_of(pilot))
        await pilot.press("r")

        await until(pilot, lambda: "no rounds left" in text_of(pilot))


async def test_a_run_is_not_resumed_while_another_trains_and_the_list_says_so(app: FedMedApp) -> None:
    write_run("cut-off", completed=1)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.pause()
        app.workspace.run_job = "run-9"
        await pilot.press("o")
        await until(pilot, lambda: "▷ cut off" in text_of(pilot))
        await pilot.press("r")

        await until(pilot, lambda: "A run is in progress" in text_of(pilot))
        assert isinstance(app.screen, RunPickerScreen)


async def test_an_earlier_run_is_looked_at_while_another_trains(slow_app: FedMedApp) -> None:
    write_run("older")
    async with slow_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: slow_app.workspace.status.ready)
        await pilot.press("s")
        await until(pilot, lambda: slow_app.run_state.run)
        live = slow_app.run_state.run

        await pilot.press("o")
        await until(pilot, lambda: "● in progress" in text_of(pilot) or "older" in text_of(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "Earlier run older." in text_of(pilot))
        assert slow_app.workspace.training

        await pilot.press("l")
        await until(pilot, lambda: live in text_of(pilot) and "Earlier run" not in text_of(pilot))


async def test_a_damaged_run_is_told_and_nothing_else_happens(app: FedMedApp) -> None:
    write_run()
    events = locations.run_folder(script.RUN) / "events.jsonl"
    events.write_bytes(b"{}\n" + events.read_bytes())
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: script.RUN in text_of(pilot))
        await pilot.press("enter")

        await until(pilot, lambda: "line 1" in text_of(pilot))
        assert app.run_state.run == ""


# --- help and palette ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", "12345")
async def test_help_lists_every_key_of_the_screen(app: FedMedApp, key: str) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press(key)
        await pilot.pause()
        bindings = app.screen.active_bindings.values()
        expected = {one.binding.description for one in bindings if one.binding.id}
        await pilot.press("f1")
        await pilot.pause()

        shown = text_of(pilot)

    assert all(words in shown for words in expected)


def test_every_binding_has_an_id_a_name_and_an_explanation() -> None:
    bindings = [binding for binding in FedMedApp.BINDINGS if not isinstance(binding, tuple)]

    assert len({binding.id for binding in bindings}) == len(bindings)
    assert all(binding.id and binding.description and binding.tooltip for binding in bindings)


async def test_the_palette_starts_a_run(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("5", "ctrl+p")
        await until(pilot, lambda: "train the demo, or what was set up last" in text_of(pilot))
        await pilot.press(*"start")
        await until(pilot, lambda: "the Training screen" not in text_of(pilot))
        await pilot.press("enter")

        await until(pilot, lambda: fake_app.run_state.run)


async def test_the_palette_offers_every_action_and_every_model(app: FedMedApp) -> None:
    async with app.run_test() as pilot:
        await tell(pilot, script.session_events())
        names = {one.name for one in offered(app)}

    visible = {binding.description for binding in FedMedApp.BINDINGS if not isinstance(binding, tuple)}
    not_now = {"Stop", "Restart", "Live run", "Palette"}
    assert visible - not_now <= names
    assert {"Chat with Base model", "Chat with Global", "Chat with Hospital C"} <= names


async def test_the_palette_does_not_offer_what_the_screen_refuses_now(app: FedMedApp) -> None:
    async with app.run_test() as pilot:
        await tell(pilot, script.session_events())
        await pilot.press("1")
        before = {one.name for one in offered(app)}
        app.workspace.desk.task = Task("data-9", "Importing pairs.csv")
        meanwhile = {one.name for one in offered(app)}

    assert before - meanwhile == {"Import", "Partition", "Copies", "PHI", "Data sheet"}
    assert meanwhile - before == {"Cancel"}


async def test_the_palette_offers_the_single_keys_of_the_screen_while_something_is_typed(app: FedMedApp) -> None:
    async with app.run_test() as pilot:
        await tell(pilot, script.session_events())
        await pilot.press("5", *"fever")

        assert "Copy" in {one.name for one in offered(app)}


async def test_the_palette_does_not_open_over_a_dialog(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(fake_app.screen, RunSetupScreen))

        await pilot.press("ctrl+p")
        await pilot.pause()

        assert isinstance(fake_app.screen, RunSetupScreen)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: fake_app.workspace.training)


async def test_a_second_dialog_of_a_kind_does_not_take_the_first_ones_place(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await tell(pilot, script.session_events())
        app.action_set_up_run()
        await until(pilot, lambda: isinstance(app.screen, RunSetupScreen))
        app.action_open_run()
        await pilot.pause()

        assert len(app.screen_stack) == 2
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, RunSetupScreen))


@pytest.mark.parametrize(
    ("dialog", "key"),
    [
        (lambda app: ImportScreen(app.workspace.desk), "ctrl+s"),
        (lambda app: PartitionScreen("sample"), "ctrl+s"),
        (lambda app: MeasureScreen(script.RUN), "ctrl+s"),
        (lambda app: MannerScreen(app.workspace.chat.manner), "ctrl+d"),
    ],
    ids=["import", "partition", "measure", "manner"],
)
async def test_a_key_that_comes_before_the_dialog_is_there_does_nothing(
    app: FedMedApp, dialog: Callable[[FedMedApp], Dialog[object]], key: str
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        opened = dialog(app)
        app.push_screen(opened)
        app.post_message(Key(key, None))
        await pilot.pause()

        assert app.screen is opened


# --- export --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", "12345")
async def test_ctrl_e_writes_a_snapshot_from_every_screen_and_shows_where(app: FedMedApp, key: str) -> None:
    write_run()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await tell(pilot, script.session_events())
        await pilot.press(key, "ctrl+e")
        await until(pilot, lambda: "Snapshot written" in text_of(pilot))

    (folder,) = (locations.run_folder(script.RUN) / "snapshots").iterdir()
    written = {path.suffix for path in Path(folder).iterdir()}
    assert written == {".json", ".csv", ".md", ".svg"}


async def test_there_is_nothing_to_export_before_the_first_run(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("ctrl+e")

        await until(pilot, lambda: "Nothing to export" in text_of(pilot))


@pytest.fixture
def federation() -> str:
    """A federation that this computer coordinates."""
    folder = locations.federations_folder() / "city"
    folder.mkdir(parents=True)
    (folder / "federation.json").write_text("{}")
    return folder.name


async def test_a_run_can_be_sent_to_a_federation(fake_app: FedMedApp, federation: str) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("n")
        await pilot.pause()
        fake_app.screen.query_one("#where", Select).value = federation
        await pilot.press("ctrl+s")
        await until(pilot, lambda: fake_app.run_state.finished)

    assert fake_app.run_state.config is not None
    assert fake_app.run_state.config.federation.name == federation


async def test_a_federations_hospitals_have_data_of_their_own(app: FedMedApp, federation: str) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        chosen: list[RunConfig | None] = []
        app.push_screen(RunSetupScreen(app.workspace.config), chosen.append)
        await until(pilot, lambda: "Data folder" in text_of(pilot))
        app.screen.query_one("#data-folder", Input).value = "no/such/folder"
        app.screen.query_one("#where", Select).value = federation
        await until(pilot, lambda: "Data folder" not in text_of(pilot))
        assert "each hospital trains on its own data" in text_of(pilot)

        await pilot.press("ctrl+s")
        await until(pilot, lambda: chosen)

    assert chosen[0] is not None
    assert (chosen[0].data.folder, chosen[0].data.hospitals) == ("sample", ()), "no hospital named: all of the federation's"
