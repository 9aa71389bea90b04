"""A long conversation: its end is on the screen, and what was said before comes when it is scrolled to."""

from __future__ import annotations

from conftest import redraw, text_of, until
from textual.events import MouseScrollUp
from textual.pilot import Pilot

from engine.protocol import ChatFinished
from fedmed_tui.app import FedMedApp
from fedmed_tui.conversation import KEPT, Exchange
from fedmed_tui.widgets.exchange import ExchangeView
from fedmed_tui.widgets.transcript import EARLIER, SHOWN, Transcript

LINES = "\n\n".join(["It depends."] * 4)


def answered(number: int, adapters: tuple[str, ...] = ("base",), text: str = LINES) -> Exchange:
    exchange = Exchange(f"chat-{number}", f"Question {number}?", adapters)
    for name, answer in exchange.answers.items():
        answer.text = text
        answer.finished = ChatFinished(job="", adapter=name, tokens=9, first_token_seconds=0.1, seconds=1.0, stopped=False)
    return exchange


async def converse(pilot: Pilot[None], *exchanges: Exchange) -> Transcript:
    """A conversation with the base model that holds these, on the screen."""
    app = pilot.app
    assert isinstance(app, FedMedApp)
    await until(pilot, lambda: app.workspace.status.ready)
    app.workspace.conversation(("base",)).exchanges.extend(exchanges)
    await pilot.press("5")
    await redraw(pilot)
    return app.screen.query_one(Transcript)


def questions(transcript: Transcript) -> list[str]:
    """What stands on the screen, from above to below."""
    return [view.exchange.question for view in transcript.query(ExchangeView)]


def numbered(*numbers: int) -> list[str]:
    return [f"Question {number}?" for number in numbers]


async def test_the_end_of_a_long_conversation_is_shown_and_how_much_stands_above(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 40)) as pilot:
        transcript = await converse(pilot, *map(answered, range(KEPT)))

        assert questions(transcript) == numbered(*range(KEPT - SHOWN, KEPT))
        transcript.scroll_to(y=1, animate=False)
        await until(pilot, lambda: f"{KEPT - SHOWN} more above" in text_of(pilot))


async def test_who_pages_up_to_the_top_reads_on_where_the_page_ended(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 40)) as pilot:
        transcript = await converse(pilot, *map(answered, range(SHOWN + 3)))
        first = transcript.query(ExchangeView).first()
        while len(transcript.query(ExchangeView)) == SHOWN:
            await pilot.press("pageup")
            await pilot.pause(0.05)

        assert questions(transcript) == numbered(*range(SHOWN + 3))
        await until(pilot, lambda: first.region.y == transcript.content_region.y)
        assert "more above" not in text_of(pilot)


async def test_the_wheel_brings_older_answers_where_nothing_scrolls(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 90)) as pilot:
        transcript = await converse(pilot, *(answered(number, text="Yes.") for number in range(SHOWN + 2)))
        transcript.post_message(MouseScrollUp(transcript, 5, 5, 0, 0, 0, False, False, False))

        await until(pilot, lambda: questions(transcript) == numbered(*range(SHOWN + 2)))


async def test_a_new_question_takes_the_place_of_the_oldest_answer(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 40)) as pilot:
        transcript = await converse(pilot, *map(answered, range(SHOWN)))
        fake_app.workspace.conversation(("base",)).add(answered(SHOWN))
        await redraw(pilot)

        await until(pilot, lambda: questions(transcript) == numbered(*range(1, SHOWN + 1)))


async def test_fewer_comparisons_stand_on_the_screen_than_single_answers(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 40)) as pilot:
        transcript = await converse(pilot)
        comparison = fake_app.workspace.conversation(("base", "A"))
        comparison.exchanges.extend(answered(number, ("base", "A")) for number in range(SHOWN))
        transcript.show(comparison, fake_app.workspace.chat.manner)
        await pilot.pause()

        assert questions(transcript) == numbered(*range(SHOWN // 2, SHOWN))


async def test_where_the_model_was_told_to_forget_is_marked_below_the_last_it_knew(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 40)) as pilot:
        await converse(pilot, *(answered(number, text="Yes.") for number in range(3)))
        await pilot.press("ctrl+n")
        fake_app.workspace.conversation(("base",)).add(answered(3, text="Yes."))
        await redraw(pilot)
        await until(pilot, lambda: "Question 3?" in text_of(pilot))

        shown = text_of(pilot)

    assert shown.count(EARLIER) == 1
    assert shown.index("Question 2?") < shown.index(EARLIER) < shown.index("Question 3?")
