"""What the chat pane offers beside an answer: comparing, guardrails, history, prompt, copying, asking again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import script
from conftest import redraw, tell, text_of, until
from test_chat import words
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from engine.protocol import DISCLAIMER
from fedmed_tui.app import FedMedApp
from fedmed_tui.chatdesk import ChatDesk
from fedmed_tui.conversation import Exchange
from fedmed_tui.history import Answered, History
from fedmed_tui.widgets.adapter_list import AdapterList
from fedmed_tui.widgets.composer import Composer
from fedmed_tui.widgets.exchange import ExchangeView
from screens.confirm import ConfirmScreen


async def ask(pilot: Pilot[None], question: str) -> Exchange:
    """Type a question, send it, wait for all of its answers."""
    app = pilot.app
    assert isinstance(app, FedMedApp)
    chat = app.workspace.chat
    await until(pilot, lambda: app.workspace.status.ready)
    app.screen.query_one(Composer).write(question)
    await pilot.press("enter")
    await until(pilot, lambda: not chat.job)
    await redraw(pilot)
    exchange = app.workspace.conversation(app.screen.query_one(AdapterList).adapters).exchanges[-1]
    await until(pilot, lambda: any(view.exchange is exchange and view.settled for view in app.screen.query(ExchangeView)))
    return exchange


async def after_training(pilot: Pilot[None]) -> None:
    """A finished run of the fake engine, and the chat on the screen."""
    app = pilot.app
    assert isinstance(app, FedMedApp)
    await until(pilot, lambda: app.workspace.status.ready)
    await pilot.press("s")
    await until(pilot, lambda: app.run_state.finished and not app.workspace.training)
    await pilot.press("5")
    await redraw(pilot)


async def test_adapters_answer_side_by_side_with_scores_and_a_hint(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(140, 40)) as pilot:
        await after_training(pilot)
        await pilot.press("f4")
        exchange = await ask(pilot, "diabetes?")

        shown = text_of(pilot)

    assert exchange.adapters == ("base", "global", "A", "B")
    assert next(line for line in shown.splitlines() if "(base)" in line).count("(") == 4  # all on one line
    assert "-2.200 ★" in shown and "-2.500 ★" not in shown
    assert "Who would answer this best? Perhaps Hospital B" in words(shown)


async def test_answers_stand_below_each_other_on_a_narrow_screen(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 40)) as pilot:
        await after_training(pilot)
        await pilot.press("f4")
        await ask(pilot, "diabetes?")

        lines = text_of(pilot).splitlines()

    assert not any("(global)" in line and "(base)" in line for line in lines)


async def test_the_space_key_marks_whom_to_compare_and_every_comparison_has_its_transcript(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await after_training(pilot)
        await pilot.press("shift+tab", "space", "down", "space")
        await redraw(pilot)

        models = fake_app.screen.query_one(AdapterList)
        assert models.adapters == ("global", "A")
        assert "Compare global · A" in text_of(pilot)

        await pilot.press("space")
        assert models.adapters == ("A",)


async def test_the_system_prompt_is_told_above_every_models_transcript(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, script.session_events())
        told = []
        for adapter in ("A", "B", "global", "base"):
            await app.chat_with(adapter)
            await redraw(pilot)
            told.append("System prompt: " in text_of(pilot))

    assert told == [True, True, True, True]


async def test_the_title_tells_loss_best_mark_and_weight_of_the_chosen_hospital(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, script.session_events())
        await app.chat_with("B")
        await redraw(pilot)

        assert "Hospital B · loss 2.4478 (best) · weight 0.410" in text_of(pilot)


async def test_an_emergency_stands_out_and_tells_its_rule_on_demand(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")
        await ask(pilot, "my father collapsed")
        await until(pilot, lambda: "⚠ Get help now" in text_of(pilot))
        assert "Source:" not in text_of(pilot)

        await pilot.press("escape", "d")

        await until(pilot, lambda: "Why: Every minute counts." in text_of(pilot))
        assert "rule collapse (triage)" in text_of(pilot)
        assert "Source: ERC Guidelines 2021" in text_of(pilot)


async def test_an_emergency_is_told_once_whoever_was_asked(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await after_training(pilot)
        await pilot.press("f4")
        await ask(pilot, "my father collapsed")

        await until(pilot, lambda: "⚠ Get help now" in text_of(pilot))
        assert text_of(pilot).count("Call the emergency number now.") == 1


async def test_copying_takes_the_chosen_message_as_it_was_written(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")
        exchange = await ask(pilot, "fever")

        await pilot.press("escape", "y")
        assert fake_app.clipboard == exchange.answer.text and "**cause**" in fake_app.clipboard

        await pilot.press("up", "y")
        assert fake_app.clipboard == "fever"


async def test_asking_again_draws_another_answer_in_place_of_the_last(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")
        first = await ask(pilot, "fever")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: not fake_app.workspace.chat.job)

        exchanges = fake_app.workspace.conversation(("base",)).exchanges
        assert len(exchanges) == 1 and exchanges[0] is not first
        assert exchanges[0].answer.text.strip().endswith("(seed 1)")
        await until(pilot, lambda: "(seed 1)" in text_of(pilot))
        assert text_of(pilot).count("› fever") == 1


async def test_a_question_may_have_several_lines(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("5")
        await pilot.press(*"one", "ctrl+j", *"two", "enter")
        await until(pilot, lambda: fake_app.workspace.conversation(("base",)).exchanges)

        assert fake_app.workspace.conversation(("base",)).exchanges[0].question == "one\ntwo"


async def test_the_up_arrow_recalls_and_the_down_arrow_gives_the_draft_back(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")
        await ask(pilot, "first")
        await ask(pilot, "second")
        composer = fake_app.screen.query_one(Composer)
        await pilot.press(*"draft")

        seen = []
        for key in ("up", "up", "down", "down"):
            await pilot.press(key)
            seen.append(composer.text)

        assert seen == ["second", "first", "second", "draft"]


async def test_the_system_prompt_is_seen_changed_and_told_to_the_model(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")
        await redraw(pilot)
        assert "System prompt: You answer medical questions in plain language." in words(text_of(pilot))

        await pilot.press("f2")
        fake_app.screen.query_one("#system", TextArea).text = "Answer like a pirate."
        fake_app.screen.query_one("#temperature", Input).value = "0.5"
        await pilot.press("ctrl+s")
        await redraw(pilot)
        exchange = await ask(pilot, "fever")

        assert "System prompt (your own): Answer like a pirate. · up to 200 tokens · temperature 0.5" in words(text_of(pilot))
        assert fake_app.workspace.conversation(("base",)).turns(exchange)[0].text == "Answer like a pirate."


async def test_a_number_out_of_range_is_refused_in_place(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5", "f2")
        fake_app.screen.query_one("#top_p", Input).value = "3"
        await pilot.press("ctrl+s")

        await until(pilot, lambda: "this must be a number from 0.01 to 1" in text_of(pilot))
        assert fake_app.workspace.chat.manner.top_p == 0.95


@pytest.fixture
def yesterday(home: Path) -> History:
    """Two answers of an earlier session."""
    history = History()
    history.add(Answered(run="", adapter="base", asked=1.0, question="what is gout", answer="A **joint** thing.", tokens=5))
    history.add(Answered(run="old", adapter="B", asked=2.0, question="[bold]asthma[/]", answer="\x1b[2JLungs."))
    return history


async def test_the_history_is_searched_and_a_question_asked_again(fake_app: FedMedApp, yesterday: History) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5", "f3")
        await until(pilot, lambda: "2 found" in text_of(pilot))
        assert "[bold]asthma[/]" in text_of(pilot) and "�[2JLungs." in text_of(pilot)

        await pilot.press(*"joint")
        await until(pilot, lambda: "1 found" in text_of(pilot))
        await pilot.press("enter")

        await until(pilot, lambda: [one.text for one in fake_app.screen.query(Composer)] == ["what is gout"])


async def test_a_rules_message_of_an_earlier_session_is_not_told_as_a_models_answer(fake_app: FedMedApp, home: Path) -> None:
    History().add(
        Answered(run="", adapter="base", asked=1.0, question="no pulse", answer="Call for help.", findings="Possible emergency")
    )
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")

        await until(pilot, lambda: "Not answered by a model" in text_of(pilot))
        assert "a fixed message" in text_of(pilot) and "small language model" not in text_of(pilot)


async def test_what_is_listed_is_exported_as_markdown(fake_app: FedMedApp, yesterday: History, home: Path) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5", "f3")
        await until(pilot, lambda: "2 found" in text_of(pilot))
        await pilot.press("ctrl+s")
        chats = home / "output-models" / "chats"
        await until(pilot, lambda: list(chats.glob("*.md")))

    written = next(chats.glob("*.md")).read_text()
    assert "> A **joint** thing." in written and DISCLAIMER in written and "\x1b" not in written


async def test_a_conversation_is_forgotten_once_that_is_confirmed(fake_app: FedMedApp, yesterday: History) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5", "f3")
        await until(pilot, lambda: "2 found" in text_of(pilot))
        await pilot.press("ctrl+d", "y")
        await until(pilot, lambda: "1 found" in text_of(pilot))

    assert [one.adapter for one in yesterday.search("")] == ["base"]


async def test_what_is_forgotten_is_gone_from_the_screen_and_not_told_to_the_model(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")
        await ask(pilot, "secret")
        await pilot.press("f3")
        await until(pilot, lambda: "1 found" in text_of(pilot))
        await pilot.press("ctrl+d")
        await until(pilot, lambda: isinstance(fake_app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: "0 found" in text_of(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: len(fake_app.screen_stack) == 1 and "secret" not in text_of(pilot))
        exchange = await ask(pilot, "fever")

        turns = fake_app.workspace.conversation(("base",)).turns(exchange)

    assert [turn.text for turn in turns[1:]] == ["fever"]
    assert fake_app.workspace.chat.questions == ["fever"]


async def test_the_screen_does_not_wait_for_a_history_that_another_window_holds(
    fake_app: FedMedApp, yesterday: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedmed_tui.history.WAIT_SECONDS", 60.0)
    with closing(sqlite3.connect(yesterday.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with fake_app.run_test(size=(120, 36)) as pilot:
            await pilot.press("5")
            await ask(pilot, "fever")
            other.execute("ROLLBACK")
            await fake_app.workspace.chat.settle()
            await until(pilot, lambda: "› what is gout" in text_of(pilot) and "› fever" in text_of(pilot))

    assert [one.question for one in yesterday.conversation("", "base")] == ["what is gout", "fever"]


async def test_what_was_answered_before_the_history_was_read_stands_there_once(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        workspace = fake_app.workspace
        await until(pilot, lambda: workspace.status.ready)
        workspace.chat.ask(workspace.place, ("base",), "fever")
        await until(pilot, lambda: not workspace.chat.job)

        await workspace.chat.recall("", ("base",))

        assert [one.question for one in workspace.conversation(("base",)).exchanges] == ["fever"]


async def test_an_earlier_session_is_shown_and_not_told_to_the_model(fake_app: FedMedApp, yesterday: History) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")
        await redraw(pilot)
        await until(pilot, lambda: "› what is gout" in text_of(pilot))
        exchange = await ask(pilot, "and now?")

        turns = fake_app.workspace.conversation(("base",)).turns(exchange)

    assert [turn.text for turn in turns[1:]] == ["and now?"]


async def test_answers_are_kept_for_the_next_session(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")
        await ask(pilot, "fever")
        await ask(pilot, "my father collapsed")
        await fake_app.workspace.chat.settle()

    kept = History().conversation("", "base")
    assert [one.question for one in kept] == ["fever", "my father collapsed"]
    assert kept[1].findings == "Collapse"


async def test_a_new_conversation_forgets_for_the_model_what_stays_on_the_screen(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")
        await ask(pilot, "one")
        await pilot.press("ctrl+n")
        exchange = await ask(pilot, "two")

        assert "› one" in text_of(pilot) and "said earlier" in text_of(pilot)
        assert [turn.text for turn in fake_app.workspace.conversation(("base",)).turns(exchange)[1:]] == ["two"]


async def test_a_history_that_cannot_be_read_is_said_and_the_chat_goes_on(fake_app: FedMedApp, home: Path) -> None:
    file = home / "output-models" / "chat-history.sqlite3"
    file.parent.mkdir()
    file.write_bytes(b"this is no database" * 100)
    async with fake_app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: "file is not a database" in text_of(pilot))
        exchange = await ask(pilot, "fever")

        assert exchange.answer.finished is not None


def test_the_base_model_has_one_history_in_every_run() -> None:
    desk = ChatDesk(lambda: None, lambda kind: kind, lambda: None, lambda error: None)  # type: ignore[arg-type,return-value]

    assert desk.conversation("one", ("base",)) is desk.conversation("two", ("base",))
    assert desk.conversation("one", ("base", "A")) is not desk.conversation("two", ("base", "A"))
