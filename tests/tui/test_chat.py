"""Asking models, reading answers, leaving the input."""

from __future__ import annotations

import pytest
import script
from conftest import SIZES, redraw, tell, text_of, until

from engine.protocol import DISCLAIMER, RoundFinished
from fedmed_tui.app import FedMedApp
from fedmed_tui.conversation import Exchange
from fedmed_tui.widgets.adapter_list import AdapterList
from fedmed_tui.widgets.composer import Composer


def words(text: str) -> str:
    """The text without line breaks and frames."""
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize("size", SIZES)
async def test_a_question_gets_a_streamed_answer_with_speed_and_disclaimer(fake_app: FedMedApp, size: tuple[int, int]) -> None:
    async with fake_app.run_test(size=size) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("c")
        await pilot.press(*"fever", "enter")

        await until(pilot, lambda: "tokens/s" in text_of(pilot))

        assert fake_app.screen.query_one(Composer).text == ""
        answer = fake_app.workspace.conversation(("base",)).exchanges[0].answer
        assert answer.text.startswith("(base) It depends on the **cause**")
        assert answer.tokens_per_second == 20.0
        assert "Not medical advice" in text_of(pilot)


async def test_the_answer_is_shown_as_markdown(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("5")
        await pilot.press(*"fever", "enter")
        await until(pilot, lambda: "tokens/s" in text_of(pilot))

        shown = words(text_of(pilot))

    assert "› fever" in shown
    assert "It depends on the cause." in shown
    assert DISCLAIMER in shown


async def test_escape_stops_the_answer_and_then_leaves_the_input(slow_app: FedMedApp) -> None:
    async with slow_app.run_test() as pilot:
        await until(pilot, lambda: slow_app.workspace.status.ready)
        await pilot.press("5")
        await pilot.press(*"fever", "enter")
        await until(pilot, lambda: "depends" in text_of(pilot))

        await pilot.press("escape")
        await until(pilot, lambda: "stopped" in text_of(pilot))
        assert isinstance(slow_app.focused, Composer)

        await pilot.press("escape")
        await pilot.press("2")
        assert slow_app.current_mode == "training"


async def test_digits_are_text_while_a_question_is_typed(app: FedMedApp) -> None:
    async with app.run_test() as pilot:
        await pilot.press("5")
        await pilot.press(*"is 120 s1")

        assert app.current_mode == "chat"
        assert app.screen.query_one(Composer).text == "is 120 s1"


async def test_every_model_has_its_own_transcript(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("s")
        await until(pilot, lambda: fake_app.run_state.finished)
        await pilot.press("5")
        fake_app.screen.query_one(AdapterList).choose("base")
        await pilot.press(*"first", "enter")
        await until(pilot, lambda: "tokens/s" in text_of(pilot))

        fake_app.screen.query_one(AdapterList).choose("B")
        await redraw(pilot)
        assert "› first" not in text_of(pilot)
        await pilot.press(*"second", "enter")
        await until(pilot, lambda: "(B)" in text_of(pilot))

        fake_app.screen.query_one(AdapterList).choose("base")
        await redraw(pilot)
        await until(pilot, lambda: "› first" in text_of(pilot) and "(base)" in text_of(pilot))
        assert "› second" not in text_of(pilot)


async def test_the_shared_adapter_is_offered_once_there_is_one(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")
        before = app.screen.query_one(AdapterList).adapters
        await tell(pilot, script.session_events())
        await redraw(pilot)

        assert (before, app.screen.query_one(AdapterList).adapters) == (("base",), ("global",))


async def test_what_the_base_model_was_asked_in_an_earlier_session_does_not_keep_the_shared_adapter_back(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("5")
        app.workspace.conversation(("base",)).exchanges.append(Exchange("", "What helps?", ("base",), earlier=True))
        await tell(pilot, script.session_events())
        await redraw(pilot)

        assert app.screen.query_one(AdapterList).adapters == ("global",)


async def test_whoever_talks_to_the_base_model_stays_there_when_the_shared_adapter_comes(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        events = script.session_events()
        begun = next(at for at, stamped in enumerate(events) if isinstance(stamped.event, RoundFinished))
        await tell(pilot, events[:begun])
        await pilot.press("5")
        app.workspace.conversation(("base",)).exchanges.append(Exchange("chat-1", "What helps?", ("base",)))
        await tell(pilot, events[begun:])
        await redraw(pilot)

        assert app.screen.query_one(AdapterList).adapters == ("base",)


async def test_the_list_shows_loss_weight_and_the_best_hospital(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, script.session_events())
        await pilot.press("5")
        await redraw(pilot)

        shown = words(text_of(pilot))

    assert "▲ Hospital B ★" in shown
    assert "loss 2.4478 (best) · weight 0.410" in shown


async def test_tab_goes_to_the_models_and_enter_back_to_the_question(app: FedMedApp) -> None:
    async with app.run_test() as pilot:
        await tell(pilot, script.session_events())
        await pilot.press("5")
        await redraw(pilot)

        await pilot.press("tab")
        assert isinstance(app.focused, AdapterList)
        await pilot.press("down", "enter")

        assert isinstance(app.focused, Composer)
        assert app.screen.query_one(AdapterList).adapters == ("A",)


async def test_a_question_the_engine_cannot_answer_gets_the_reason(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("5")
        await pilot.press(*"impossible", "enter")

        await until(pilot, lambda: "✖ the adapter is missing. Train first." in text_of(pilot))
        await until(pilot, lambda: not fake_app.workspace.chat.job)


async def test_a_follow_up_carries_the_conversation(fake_app: FedMedApp) -> None:
    async with fake_app.run_test() as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("5")
        await pilot.press(*"one", "enter")
        await until(pilot, lambda: fake_app.workspace.chat.last_answer)
        await until(pilot, lambda: not fake_app.workspace.chat.job)
        await pilot.press(*"two", "enter")

        conversation = fake_app.workspace.conversation(("base",))
        turns = conversation.turns(conversation.exchanges[-1])

    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[1].text == "one" and turns[3].text == "two"


async def test_page_up_reads_back_while_the_question_keeps_the_focus(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)
        await pilot.press("5")
        for question in ("one", "two", "three"):
            await pilot.press(*question, "enter")
            await until(pilot, lambda: fake_app.workspace.chat.last_answer and not fake_app.workspace.chat.job)
        await until(pilot, lambda: "› three" in text_of(pilot) and "› one" not in text_of(pilot))

        await pilot.press("pageup", "pageup")

        await until(pilot, lambda: "› one" in text_of(pilot))
        assert isinstance(fake_app.focused, Composer)
