"""The Data screen over an engine that plays its part: hospitals, their topics, and their pairs."""

from __future__ import annotations

import msgspec
import pytest
import script
import script_data
from conftest import SIZES, redraw, tell, text_of, until
from data_steps import open_data

from engine.protocol import JobFinished, Stamped
from fedmed_tui.app import FedMedApp
from screens.pair import PairScreen

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


async def test_hospitals_without_test_pairs_are_named_below_the_table(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        untested = msgspec.structs.replace(script.partition("B"), test=0, topics=0, top_topics={})
        await tell(pilot, script.stamped([script.partition("A"), untested, JobFinished(job="data-1", outcome="done")]))
        await pilot.press("1", "down")
        await redraw(pilot)

        shown = text_of(pilot)

    assert "! No test pairs at B:" in shown
    assert "These pairs name no topic." in shown


async def test_the_cursor_stays_in_sight_among_many_hospitals(app: FedMedApp) -> None:
    names = tuple(f"H{number:02d}" for number in range(40))
    async with app.run_test(size=(80, 24)) as pilot:
        await tell(pilot, script.session_events(until=0, hospitals=names))
        await pilot.press("1")
        await redraw(pilot)

        await pilot.press(*["down"] * 30)
        await redraw(pilot)

        assert "H30" in text_of(pilot)


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
