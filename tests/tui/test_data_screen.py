"""The Data screen over an engine that plays its part: looking at hospitals and pairs, importing, sharing out, checking."""

from __future__ import annotations

import pytest
import script
import script_data
from conftest import SIZES, redraw, tell, text_of, until
from textual.pilot import Pilot
from textual.widgets import Input, Select

from engine.protocol import ImportData, PartitionData, Stamped
from fedmed_tui.app import FedMedApp
from fedmed_tui.widgets.pairs import PairList
from screens.confirm import ConfirmScreen
from screens.import_data import ImportScreen
from screens.imported import ImportedScreen
from screens.pair import PairScreen
from screens.partition_data import PartitionScreen


async def open_data(pilot: Pilot[None]) -> PairList:
    """Go to the Data screen and wait until the first hospital's pairs are listed."""
    app = pilot.app
    assert isinstance(app, FedMedApp)
    await until(pilot, lambda: app.workspace.status.ready and len(app.workspace.partitions) == 3)
    await pilot.press("1")
    pairs = app.screen.query_one(PairList)
    await until(pilot, lambda: pairs.book is not None and pairs.book.matches)
    return pairs


async def look_at(pilot: Pilot[None], source: str) -> ImportScreen:
    """Open the import form and look at a source."""
    await pilot.press("i")
    await until(pilot, lambda: isinstance(pilot.app.screen, ImportScreen))
    form = pilot.app.screen
    assert isinstance(form, ImportScreen)
    form.query_one("#source", Input).value = source
    await pilot.press("enter")
    return form


# --- hospitals -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_every_hospital_is_listed_with_its_pairs_and_splits(app: FedMedApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await tell(pilot, script.session_events(until=0))
        await pilot.press("1")
        await redraw(pilot)

        lines = text_of(pilot).splitlines()

    rows = [line.split() for line in lines if "● A" in line or "▲ B" in line or "■ C" in line]
    assert [[word for word in row if word[0].isdigit()][:4] for row in rows] == [
        ["227", "171", "28", "28"],
        ["123", "93", "15", "15"],
        ["148", "112", "18", "18"],
    ]


async def test_topics_and_pairs_are_those_of_the_hospital_under_the_cursor(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        pairs = await open_data(pilot)
        assert "Question 0 of A" in text_of(pilot)

        await pilot.press("down")
        await until(pilot, lambda: pairs.book is not None and pairs.book.hospital == "B")
        await redraw(pilot)

        assert "Question 0 of B" in text_of(pilot)
        assert "Pairs of B" in text_of(pilot)


async def test_the_cursor_stays_in_sight_among_many_hospitals(app: FedMedApp) -> None:
    names = tuple(f"H{number:02d}" for number in range(60))
    async with app.run_test(size=(80, 24)) as pilot:
        await tell(pilot, script.session_events(until=0, hospitals=names))
        await pilot.press("1")
        await redraw(pilot)

        await pilot.press(*["down"] * 45)
        await redraw(pilot)

        assert "H45" in text_of(pilot)


@pytest.mark.parametrize("size", SIZES[:2])
async def test_on_a_narrow_screen_every_view_can_be_turned_to(app: FedMedApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await tell(pilot, script.session_events(until=0))
        await pilot.press("1")
        await redraw(pilot)
        seen = []
        for _ in range(5):
            shown = text_of(pilot)
            found = (words for words in ("Pairs", "largest of", "by number of words", "looks for copies", "looks for names"))
            seen += [words for words in found if words in shown and words not in seen]
            await pilot.press("v")
            await redraw(pilot)

    assert len(seen) == 5


# --- pairs ---------------------------------------------------------------------------------------------------------------------


async def test_the_last_pair_is_one_key_away_and_only_its_page_is_fetched(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        pairs = await open_data(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: pairs.has_focus)

        await pilot.press("end")
        await until(pilot, lambda: "Question 249 of A" in text_of(pilot))

        assert pairs.book is not None
        assert pairs.book.pair(150) is None
        assert "250 of 250" in text_of(pilot)


async def test_the_filter_lists_only_pairs_that_fit_and_escape_lists_all_again(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        pairs = await open_data(pilot)

        await pilot.press("slash")
        await pilot.pause()
        await pilot.press(*"gout")
        await until(pilot, lambda: "1 of 25 that fit" in text_of(pilot))
        assert "about asthma" not in text_of(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "1 of 250" in text_of(pilot))

        assert pairs.has_focus
        await pilot.press("escape")
        assert fake_app.focused is fake_app.screen.query_one("PartitionTable")


async def test_a_filter_that_nothing_fits_says_so(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await open_data(pilot)
        await pilot.press("slash")
        await pilot.pause()
        await pilot.press(*"zzz")

        await until(pilot, lambda: "No pair has all these words." in text_of(pilot))


async def test_enter_reads_a_pair_in_full_and_arrows_leaf_on(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        pairs = await open_data(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: pairs.has_focus)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "Answer 1: asthma is explained here." in text_of(pilot))

        await pilot.press("right")
        await until(pilot, lambda: "Answer 2: asthma" in text_of(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(fake_app.screen, PairScreen))

        assert pairs.cursor == 2


# --- import --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
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


@pytest.mark.parametrize("size", SIZES)
async def test_d_shows_copies_as_a_matrix_and_how_hospitals_differ(fake_app: FedMedApp, size: tuple[int, int]) -> None:
    async with fake_app.run_test(size=size) as pilot:
        await open_data(pilot)
        await pilot.press("d")
        await until(pilot, lambda: fake_app.workspace.desk.comparison and not fake_app.workspace.desk.task)
        await redraw(pilot)
        lines = text_of(pilot).splitlines()

        assert any("● A" in line and "2 + 4" in line and "7 + 13" in line for line in lines)
        assert any("Looked for copies" in line and "44 found" in line for line in lines)


async def test_f_counts_findings_by_kind_and_says_that_names_were_not_looked_for(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await open_data(pilot)
        await pilot.press("f")
        await until(pilot, lambda: "9 of 250 pairs have a finding" in text_of(pilot))

        shown = text_of(pilot)

    assert "PHONE" in shown and "0••••••••1" in shown
    assert "fedmed-tui[phi]" in shown


async def test_findings_about_one_folder_are_not_shown_for_another(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await open_data(pilot)
        await pilot.press("d")
        await until(pilot, lambda: fake_app.workspace.desk.overlap and not fake_app.workspace.desk.task)

        fake_app.workspace.use_folder("data/other")
        await redraw(pilot)

        assert "looks for copies within" in text_of(pilot)


async def test_one_long_piece_of_work_at_a_time(slow_app: FedMedApp) -> None:
    async with slow_app.run_test(size=(80, 24)) as pilot:
        await open_data(pilot)
        await pilot.press("f")
        await until(pilot, lambda: slow_app.workspace.desk.task is not None)
        job = slow_app.workspace.desk.task

        await pilot.press("d", "i")
        await pilot.pause()

        assert slow_app.workspace.desk.task is job
        assert not isinstance(slow_app.screen, ImportScreen)


# --- hostile text --------------------------------------------------------------------------------------------------------------

HOSTILE = "[/] [bold red]x[/] \x1b]0;owned\x07 \u202e"


async def test_hostile_pairs_findings_and_sources_are_text(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, script.session_events(until=0))
        await pilot.press("1")
        desk = app.workspace.desk
        bad = script_data.phi("A").examples[0]
        desk.phi["A"] = type(script_data.phi("A"))(
            job="",
            hospital="A",
            pairs=1,
            affected=1,
            findings={HOSTILE: 1},
            names=True,
            examples=(type(bad)(pair=HOSTILE, field="answer", kind=HOSTILE, masked=HOSTILE),),
        )
        desk.note = HOSTILE
        app.workspace.take(Stamped(seq=1, time=script.START, event=script.partition("A", text=HOSTILE)))
        await redraw(pilot)

        shown = text_of(pilot)

    assert "[bold red]x[/]" in shown
    assert "\x1b" not in shown and "\u202e" not in shown
