"""Long data work from the Data screen: importing, sharing out, looking for copies and for identifying text."""

from __future__ import annotations

import msgspec
import pytest
import script
import script_data
from conftest import SIZES, redraw, tell, text_of, until
from data_steps import look_at, open_data
from textual.widgets import Input, Select

from engine.protocol import ImportData, JobFinished, PartitionData
from fedmed_tui.app import FedMedApp
from fedmed_tui.datadesk import Task
from screens.confirm import ConfirmScreen
from screens.import_data import ImportScreen
from screens.imported import ImportedScreen
from screens.partition_data import PartitionScreen

# --- import --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES[:2])
async def test_an_import_shows_how_fields_are_understood_then_the_new_folder(fake_app: FedMedApp, size: tuple[int, int]) -> None:
    async with fake_app.run_test(size=size) as pilot:
        await open_data(pilot)
        form = await look_at(pilot, "clinic.csv")
        await until(pilot, lambda: "198 of the first 200 rows usable" in text_of(pilot))
        assert (form.value("answer"), form.value("topic"), form.value("hospital-field")) == ("Response", "Condition", "Clinic")

        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(fake_app.screen, ImportedScreen) and "180 pairs of 200 rows" in text_of(pilot))
        assert "exact duplicate" in text_of(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "data/processed" in text_of(pilot))

    assert fake_app.workspace.config.data.folder == "data/processed"


async def test_the_form_asks_for_exactly_what_was_filled_in(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await tell(pilot, script.session_events(until=0))
        asked: list[ImportData | None] = []
        form = ImportScreen(app.workspace.desk)
        app.push_screen(form, asked.append)
        await pilot.pause()
        form._show(script_data.preview(script_data.PreviewSource(job="data-9", source="clinic.csv")))
        typed = {
            "question": "Question + Condition",
            "topic": "",
            "hospital": "North",
            "sizes": "North=50",
            "target": "data/north",
        }
        for line, text in typed.items():
            form.query_one(f"#{line}", Input).value = text
        form.query_one("#deidentify", Select).value = True

        await pilot.press("ctrl+s")
        await pilot.pause()

    command = asked[0]
    assert command is not None
    assert (command.source, command.target, command.sizes) == ("clinic.csv", "data/north", {"North": 50})
    assert (command.hospital, command.hospital_field) == ("North", "")
    assert (command.options.mapping.question, command.options.mapping.topic) == ("Question + Condition", "")
    assert command.options.deidentify


@pytest.mark.parametrize("line", ["source", "encoding"])
async def test_a_look_at_what_the_lines_no_longer_hold_is_dropped(app: FedMedApp, line: str) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await tell(pilot, script.session_events(until=0))
        form = ImportScreen(app.workspace.desk)
        app.push_screen(form)
        await pilot.pause()
        form.query_one("#source", Input).value = "clinic.csv"
        await pilot.press("enter")
        await until(pilot, lambda: app.workspace.desk._asked)
        (job,) = app.workspace.desk._asked

        form.query_one(f"#{line}", Input).value = "other"
        await pilot.pause()
        looked = script_data.preview(script_data.PreviewSource(job=job, source="clinic.csv"))
        await tell(pilot, script.stamped([looked, JobFinished(job=job, outcome="done")]))
        await until(pilot, lambda: not app.workspace.desk._asked)
        await pilot.pause()

        assert not form.has_class("-looked")
        assert "Nothing is imported yet." in text_of(pilot)


@pytest.mark.parametrize(
    ("line", "typed", "complaint"),
    [
        ("answer", "", "say which field holds the answer"),
        ("topic", "Disease", "there is no field 'Disease'"),
        ("sizes", "North=many", "'North=many' is no size"),
        ("target", "", "name a folder"),
        ("hospital-field", "", "or one hospital"),
    ],
)
async def test_what_cannot_be_imported_is_told_in_the_form(app: FedMedApp, line: str, typed: str, complaint: str) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        form = ImportScreen(app.workspace.desk)
        app.push_screen(form)
        await pilot.pause()
        form._show(script_data.preview(script_data.PreviewSource(job="data-9", source="clinic.csv")))
        form.query_one(f"#{line}", Input).value = typed

        await pilot.press("ctrl+s")
        await pilot.pause()

        assert app.screen is form
        assert complaint in text_of(pilot)


async def test_a_source_that_is_not_there_is_told_in_the_form(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await open_data(pilot)
        form = await look_at(pilot, script_data.MISSING)

        await until(pilot, lambda: "✖ there is no such file." in text_of(pilot))
        assert fake_app.screen is form


@pytest.mark.parametrize(("answer", "folder"), [("y", "data/processed"), ("n", "sample")])
async def test_too_many_bad_rows_are_asked_about(fake_app: FedMedApp, answer: str, folder: str) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await open_data(pilot)
        form = await look_at(pilot, script_data.BAD_ROWS)
        await until(pilot, lambda: form.value("question"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(fake_app.screen, ConfirmScreen) and "40 of 200 rows" in text_of(pilot))

        await pilot.press(answer)
        await until(pilot, lambda: fake_app.workspace.desk.task is None)
        await until(pilot, lambda: fake_app.workspace.config.data.folder == folder)


async def test_a_long_import_shows_its_progress_and_x_stops_it(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await open_data(pilot)
        form = await look_at(pilot, script_data.ENDLESS)
        await until(pilot, lambda: form.value("question"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "reading endless.csv" in text_of(pilot) and " 50%  x cancel" in text_of(pilot))

        await pilot.press("x")

        await until(pilot, lambda: "■ Stopped. Nothing was replaced." in text_of(pilot))
        assert fake_app.workspace.config.data.folder == "sample"


async def test_an_engine_that_dies_in_an_import_is_told_and_the_next_one_imports(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await open_data(pilot)
        form = await look_at(pilot, script_data.ENDLESS)
        await until(pilot, lambda: form.value("question"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: fake_app.workspace.desk.task is not None)

        client = fake_app.workspace._client
        assert client is not None and client._process is not None
        client._process.kill()

        await until(pilot, lambda: "✖ the engine ended before this was done." in text_of(pilot))
        await pilot.press("r")
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await look_at(pilot, "clinic.csv")
        await pilot.pause()
        await until(pilot, lambda: "198 of the first 200" in text_of(pilot))


# --- sharing out ---------------------------------------------------------------------------------------------------------------


async def test_sharing_out_asks_for_what_the_strategy_needs(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        asked: list[PartitionData | None] = []
        form = PartitionScreen("sample")
        app.push_screen(form, asked.append)
        await pilot.pause()
        assert "Alpha" not in text_of(pilot)

        form.query_one("#strategy", Select).value = "dirichlet"
        await pilot.pause()
        assert "Alpha" in text_of(pilot)
        for line, text in {"alpha": "0.1", "hospitals": "40", "seed": "7"}.items():
            form.query_one(f"#{line}", Input).value = text
        await pilot.press("ctrl+s")
        await pilot.pause()

    command = asked[0]
    assert command is not None
    assert (command.source, command.strategy, command.alpha, command.hospitals) == ("sample", "dirichlet", 0.1, 40)
    assert command.options.seed == 7


@pytest.mark.parametrize(
    ("typed", "sizes", "proportions"),
    [("45, 25, 30", (), (45, 25, 30)), ("0.5,0.5", (), (0.5, 0.5)), ("4520,2521", (4520, 2521), ())],
)
async def test_amounts_are_shares_or_pairs(
    app: FedMedApp, typed: str, sizes: tuple[int, ...], proportions: tuple[float, ...]
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        form = PartitionScreen("sample")
        app.push_screen(form)
        await pilot.pause()
        form.query_one("#strategy", Select).value = "quantity"
        form.query_one("#amounts", Input).value = typed
        await pilot.pause()

        command = form._command()

    assert (command.sizes, command.proportions) == (sizes, proportions)


async def test_a_wrong_number_of_hospitals_is_told(app: FedMedApp) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        form = PartitionScreen("sample")
        app.push_screen(form)
        await pilot.pause()
        form.query_one("#hospitals", Input).value = "1001"
        await pilot.press("ctrl+s")
        await pilot.pause()

        assert app.screen is form
        assert "a whole number from 2 to 1,000" in text_of(pilot)


async def test_the_new_partition_is_shown_and_used_by_the_next_run(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await open_data(pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(fake_app.screen, PartitionScreen))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(fake_app.screen, ImportedScreen))

    assert fake_app.workspace.config.data.folder == "data/shared-out"


# --- checks --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES[1:])
async def test_d_shows_copies_as_a_matrix_and_how_hospitals_differ(fake_app: FedMedApp, size: tuple[int, int]) -> None:
    async with fake_app.run_test(size=size) as pilot:
        await open_data(pilot)
        await pilot.press("d")
        await until(pilot, lambda: fake_app.workspace.desk.comparison and not fake_app.workspace.desk.task)
        await redraw(pilot)
        lines = text_of(pilot).splitlines()

        assert any("● A" in line and "2 + 4" in line and "7 + 13" in line for line in lines)
        assert any("Looked for copies" in line and "44 found" in line for line in lines)


async def test_copies_bear_the_marks_of_the_table_whichever_run_is_on_the_screens(app: FedMedApp) -> None:
    copies = script_data.overlap()
    copies = msgspec.structs.replace(copies, pairs=dict.fromkeys(("North", "South"), 250), leaks=(), examples=())
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, script.session_events())
        partitions = {name: script.partition(name) for name in ("North", "South")}
        app.workspace.partitions, app.workspace.desk.overlap = partitions, copies
        await pilot.press("1")
        await redraw(pilot)

        shown = text_of(pilot)

    assert shown.count("● North") == shown.count("▲ South") == 2, "in the table and in the matrix"


async def test_f_counts_findings_by_kind_and_says_that_names_were_not_looked_for(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await open_data(pilot)
        await pilot.press("f")
        await until(pilot, lambda: "9 of 250 pairs have a finding" in text_of(pilot))

        shown = text_of(pilot)

    assert "PHONE" in shown and "0••••••••1" in shown
    assert "'.[phi]'" in shown


async def test_findings_about_one_folder_are_not_shown_for_another(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await open_data(pilot)
        await pilot.press("d")
        await until(pilot, lambda: fake_app.workspace.desk.overlap and not fake_app.workspace.desk.task)

        fake_app.workspace.use_folder("data/other")
        await redraw(pilot)

        assert "looks for copies within" in text_of(pilot)


async def test_data_work_goes_on_beside_a_run(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await tell(pilot, script.session_events(until=5))
        app.workspace.run_job, app.workspace.desk.task = "run-1", Task("data-9", "Looking for copies")
        await pilot.press("1")
        await redraw(pilot)

        assert "waits" not in text_of(pilot)
        assert any("◌ Looking for copies" in line for line in text_of(pilot).splitlines())


async def test_one_long_piece_of_work_at_a_time(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await open_data(pilot)
        form = await look_at(pilot, script_data.ENDLESS)
        await until(pilot, lambda: form.value("question"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: fake_app.workspace.desk.task is not None)
        job = fake_app.workspace.desk.task

        await pilot.press("d", "i")
        await pilot.pause()

        assert fake_app.workspace.desk.task is job
        assert not isinstance(fake_app.screen, ImportScreen)
