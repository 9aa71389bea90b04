"""Starting, following, stopping and resuming a run."""

from __future__ import annotations

import pytest
import script
from conftest import fake_engine, redraw, tell, text_of, until

from engine.protocol import Failure, RoundStarted, Stamped
from fedmed_tui.app import REDRAW_SECONDS, FedMedApp
from fedmed_tui.widgets.feed import Feed
from fedmed_tui.widgets.panel import Panel


async def test_s_starts_the_demo_and_every_round_is_listed_when_it_is_done(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: fake_app.workspace.status.ready)

        await pilot.press("s")
        await until(pilot, lambda: fake_app.run_state.finished is not None)
        await redraw(pilot)

        shown = text_of(pilot)

    assert fake_app.run_state.run.startswith("demo-")
    assert "100%" in shown and "finished in 3 min 00 s" in shown
    assert "✔ 1     2.920 → 2.745   −6.0%  59 s" in shown
    assert "✔ 3" in shown


async def test_what_is_loaded_is_shown_before_the_run_begins() -> None:
    app = FedMedApp(engine_argv=fake_engine(1.0))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.workspace.status.ready)

        await pilot.press("s")

        await until(pilot, lambda: "Loading the base model" in text_of(pilot))
        await until(pilot, lambda: "loading the model" in text_of(pilot).splitlines()[0])


async def test_s_stops_a_run_only_after_a_yes(slow_app: FedMedApp) -> None:
    async with slow_app.run_test() as pilot:
        await until(pilot, lambda: slow_app.workspace.status.ready)
        await pilot.press("s")
        await until(pilot, lambda: slow_app.run_state.run)

        await pilot.press("s")
        await until(pilot, lambda: "Stop the run" in text_of(pilot))
        await pilot.press("n")
        await pilot.pause()
        assert slow_app.workspace.training

        await pilot.press("s")
        await until(pilot, lambda: "Stop the run" in text_of(pilot))
        await pilot.press("y")

        await until(pilot, lambda: not slow_app.workspace.training)
        await until(pilot, lambda: "stopped after 12 s" in text_of(pilot))


async def test_s_offers_to_go_on_with_a_run_that_was_stopped(slow_app: FedMedApp) -> None:
    async with slow_app.run_test() as pilot:
        await until(pilot, lambda: slow_app.workspace.status.ready)
        await pilot.press("s")
        await until(pilot, lambda: slow_app.run_state.run)
        name = slow_app.run_state.run
        await pilot.press("s", "y")
        await until(pilot, lambda: not slow_app.workspace.training)

        await pilot.press("s")
        await until(pilot, lambda: "go on with round 1" in text_of(pilot))
        await pilot.press("r")

        await until(pilot, lambda: slow_app.workspace.training and slow_app.run_state.rounds)
        assert slow_app.run_state.run == name


async def test_a_round_in_progress_shows_who_trains_and_how_far(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        app.workspace.run_job = "run-1"

        await tell(pilot, script.session_events(until=13))

        shown = text_of(pilot)

    assert "▶ 1     A" in shown and "60%" in shown
    assert "6/10" in shown


async def test_a_hospital_that_was_not_drawn_rests(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        app.workspace.run_job = "run-1"

        *before, last = script.session_events(until=13)
        drawn = Stamped(seq=last.seq + 1, time=last.time, event=RoundStarted(round=1, rounds=3, drawn=("A", "C")))
        await tell(pilot, [*before, last, drawn])

        resting = [line for line in text_of(pilot).splitlines() if "rests" in line]

    assert len(resting) == 1 and " B " in resting[0]


async def test_no_time_left_is_told_in_the_first_round(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        app.workspace.run_job = "run-1"

        await tell(pilot, script.session_events(until=30))
        assert " left" not in text_of(pilot)

        await tell(pilot, script.session_events(until=70)[36:])
        assert " left" in text_of(pilot)


@pytest.mark.parametrize(("until", "doing"), [(45, "judging the updates"), (47, "evaluating, 1 of 3 hospitals")])
async def test_a_round_says_what_happens_after_its_training(app: FedMedApp, until: int, doing: str) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        app.workspace.run_job = "run-1"

        await tell(pilot, script.session_events(until=until))

        assert f"▶ 1     {doing}" in text_of(pilot)


async def test_the_hospital_with_the_lowest_validation_loss_bears_a_star(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, script.session_events())

        starred = [line for line in text_of(pilot).splitlines() if "★" in line]

    assert len(starred) == 1
    assert "B" in starred[0] and "2.438" in starred[0]


async def test_the_feed_keeps_the_newest_sentence_in_sight(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, script.session_events())
        await pilot.pause(0.1)

        assert "finished, 3" in text_of(pilot)


async def test_v_turns_to_the_next_panel_where_there_is_little_room(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await tell(pilot, script.session_events())
        assert "mean 2.614" in text_of(pilot)

        await pilot.press("v")
        await redraw(pilot)

        shown = text_of(pilot)

    assert "mean 2.614" not in shown
    assert "marks its share" in shown


async def test_a_failed_start_is_told_with_its_mend(app: FedMedApp) -> None:
    failure = Failure(job="run-9", title="Data", message="there is no folder 'x'.", where="data.folder", hint="Name one.")
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await tell(pilot, [Stamped(seq=1, time=script.START, event=failure)])

        await until(pilot, lambda: "data.folder: there is no folder 'x'. Name one." in text_of(pilot))


async def test_the_feed_can_be_read_back_and_stays_where_it_is_read(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await tell(pilot, script.session_events(until=60))
        feed = app.screen.query_one("#activity", Panel)
        feed.focus()
        await pilot.press("home")
        await until(pilot, lambda: f"Run {script.RUN} starts" in text_of(pilot))

        await tell(pilot, script.session_events()[65:])
        await pilot.pause(0.1)

        assert f"Run {script.RUN} starts" in text_of(pilot)


async def test_only_the_current_screen_is_redrawn(app: FedMedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(Feed, "draw", lambda feed: drawn.append("feed"))
    async with app.run_test() as pilot:
        await pilot.press("4")
        await pilot.pause()
        drawn.clear()

        await tell(pilot, script.session_events())
        await pilot.pause(2 * REDRAW_SECONDS)

    assert drawn == []


async def test_a_panel_that_a_larger_screen_does_not_offer_gives_way_to_the_first(app: FedMedApp) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        await tell(pilot, script.session_events())
        await pilot.press("v", "v", "v")
        await redraw(pilot)
        assert "hospital" in text_of(pilot).splitlines()[-7]

        await pilot.resize_terminal(80, 24)
        await redraw(pilot)

        assert "mean 2.614" in text_of(pilot)
