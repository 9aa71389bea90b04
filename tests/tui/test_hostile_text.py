"""Text from data, models, people and file names is text: never markup, never something a terminal obeys."""

from __future__ import annotations

import pytest
import script
from conftest import redraw, tell, text_of, until
from textual.widgets import Select

from engine import locations
from engine.protocol import ChatFinished, ChatText, Failure, Progress, Stamped
from fedmed_tui.app import FedMedApp
from fedmed_tui.widgets.composer import Composer
from fedmed_tui.widgets.text import safe

MARKUP = "[/] [bold red]x[/bold red] [@click=app.quit]y[/]"
ESCAPES = "a\x1b]0;owned\x07b\x1b[2Jc\u202ed\r\x9be"


@pytest.mark.parametrize("hostile", [MARKUP, ESCAPES])
@pytest.mark.parametrize("key", "12345")
async def test_hostile_hospital_names_and_pairs_are_shown_as_they_are(app: FedMedApp, key: str, hostile: str) -> None:
    names = (hostile, "B", "C")
    events = script.session_events(hospitals=names)
    hostile_data = Stamped(seq=9, time=script.START, event=script.partition(hostile, text=hostile))
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, [*events, hostile_data])
        await pilot.press(key)
        await redraw(pilot)

        shown = text_of(pilot)

    assert hostile[:4] in shown or "a�]0" in shown or key in "34"
    assert not any(character in shown for character in "\x1b\x07\r\x9b\u202e")


@pytest.mark.parametrize("hostile", [MARKUP, ESCAPES])
async def test_a_hostile_hospital_can_be_chosen_in_the_chat_alone_and_for_comparison(app: FedMedApp, hostile: str) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, script.session_events(hospitals=(hostile, "B", "C")))
        await app.chat_with(hostile)
        await redraw(pilot)
        alone = text_of(pilot)
        await pilot.press("f4")
        await redraw(pilot)
        compared = text_of(pilot)

    name = " ".join(safe(hostile).split())
    assert f"─ Hospital {name} · loss" in alone
    assert f"─ Compare base · global · {name} · B" in compared


async def test_a_hostile_federation_can_be_offered_and_chosen(app: FedMedApp) -> None:
    folder = locations.federations_folder() / "[bold red]x[bold] [" / "federation.json"
    folder.parent.mkdir(parents=True)
    folder.write_text("{}")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("n")
        await pilot.pause()
        app.screen.query_one("#where", Select).value = folder.parent.name

        await until(pilot, lambda: "federation [bold red]x[bold] [" in text_of(pilot))


@pytest.mark.parametrize("hostile", [MARKUP, ESCAPES])
async def test_hostile_failures_and_progress_are_shown_as_they_are(app: FedMedApp, hostile: str) -> None:
    failure = Failure(job="run-9", title="Data", message=hostile, where=hostile, hint="")
    progress = Progress(job="run-9", what=hostile, done=1, total=2)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.pause()
        app.workspace.run_job, app.workspace.preparing = "run-9", True
        await tell(pilot, [Stamped(seq=1, time=script.START, event=one) for one in (progress, failure)])

        await until(pilot, lambda: safe(hostile)[:3] in text_of(pilot))
        assert "\x1b" not in text_of(pilot)


@pytest.mark.parametrize(
    ("hostile", "seen"),
    [(MARKUP, MARKUP), (ESCAPES, safe(ESCAPES)), ("# [/]\n\n```\n[/]\n```\n| [/] |\n|---|\n| [bold] |", "[bold]")],
    ids=["markup", "escapes", "Markdown"],
)
async def test_a_hostile_answer_and_its_note_are_shown_as_text(app: FedMedApp, hostile: str, seen: str) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, [])
        await pilot.press("5")
        app.workspace.chat.ask(app.workspace.place, ("base",), "What is it?")
        job = app.workspace.chat.job
        end = ChatFinished(job=job, adapter="base", tokens=3, first_token_seconds=0.1, seconds=1.0, stopped=False, note=hostile)
        for event in (ChatText(job=job, adapter="base", text=hostile), end):
            app.workspace.take(Stamped(seq=1, time=script.START, event=event))

        await until(pilot, lambda: text_of(pilot).count(seen) == 2)
        assert not any(character in text_of(pilot) for character in "\x1b\x07\r\x9b\u202e")


async def test_a_question_full_of_markup_can_be_asked(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("5")
        fake_app.screen.query_one(Composer).write(MARKUP)
        await pilot.press("enter")

        await until(pilot, lambda: f"› {MARKUP}" in text_of(pilot))


async def test_a_hostile_hospital_can_be_found_in_the_palette(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, script.session_events(hospitals=(MARKUP, "B", "C")))
        await pilot.press("ctrl+p")
        await pilot.press(*"hospital")

        await until(pilot, lambda: "Chat with Hospital [/]" in text_of(pilot))
