"""The Aggregator screen: weights, reasons, candidates, and what if."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
import script
from conftest import SIZES, redraw, tell, text_of, until
from decisions import with_standing
from textual.pilot import Pilot

from engine.protocol import Aggregated, Failure, JobFinished, Stamped, WhatIfEvaluated, WhatIfLoss
from fedmed_tui.app import FedMedApp
from fedmed_tui.state import RunState
from fedmed_tui.widgets.panel import Deck
from fedmed_tui.widgets.what_if import WhatIfBars

Compare = Callable[..., bool]


def told_with(change: Callable[[Aggregated], Aggregated]) -> list[Stamped]:
    """The whole run, its last decision changed."""
    events = script.session_events()
    last = max(at for at, one in enumerate(events) if isinstance(one.event, Aggregated))
    decided = events[last].event
    assert isinstance(decided, Aggregated)
    events[last] = msgspec.structs.replace(events[last], event=change(decided))
    return events


async def show(pilot: Pilot[None], events: list[Stamped] | None = None, *, tab: str = "") -> None:
    """The Aggregator screen after a run, with one of its panels in front."""
    await tell(pilot, script.session_events() if events is None else events)
    await pilot.press("3")
    await redraw(pilot)
    if tab:
        panels = list(pilot.app.screen.query("Deck > Panel"))
        pilot.app.screen.query_one(Deck).chosen = [panel.id for panel in panels].index(tab)
        await redraw(pilot)


async def show_another_run(pilot: Pilot[None], app: FedMedApp) -> None:
    """A run of another name and of three rounds, on the Aggregator screen."""
    other = RunState()
    for one in script.stamped(script.run_events("another")):
        other.apply(one)
    app.workspace.show_run(other)
    await redraw(pilot)


def flat(pilot: Pilot[None]) -> str:
    """The screen's words with frames and line breaks taken out."""
    return " ".join(text_of(pilot).replace("│", " ").split())


# --- weights and reasons -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_bars_show_weight_change_and_the_share_of_pairs(app: FedMedApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await show(pilot)
        lines = text_of(pilot).splitlines()

    line = next(one for one in lines if "■ C" in one)
    assert any("Weights in round 3" in one for one in lines)
    assert "0.12  ▼ −0.06" in line
    assert "┃" in line


async def test_arrows_choose_the_round_for_every_panel(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("left", "left", "left")
        first = flat(pilot)
        await pilot.press("right")
        second = flat(pilot)

    assert "Weights in round 1" in first and "Too few pairs or voters to try candidates on." in first
    assert "Weights in round 2" in second and "0.37 ▲ +0.12" in second and "✔ less of C × 1.25" in second


async def test_a_chosen_round_is_one_of_its_run_alone(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.press("left")
        assert "Weights in round 2" in flat(pilot)

        await show_another_run(pilot, app)

        assert "Weights in round 3" in flat(pilot)


@pytest.mark.parametrize("size", SIZES[:2])
async def test_the_reasons_are_the_sentences_of_the_event(app: FedMedApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await show(pilot)
        shown = flat(pilot)

    assert "The candidate “less of C × 1.25” lowered the loss of fresh validation pairs by 1.42 % ± 0.31 %" in shown


@pytest.mark.parametrize(
    ("standing", "why", "sentence"),
    [
        ("gated", "its update is 41 times as long as usual", "✖ C does not count: its update is 41 times as long as usual."),
        ("suspect", "", "✖ C neither counts nor votes this round instead of counting 30 %: its update alone raised"),
    ],
)
async def test_a_hospital_that_does_not_count_is_marked_and_told_why(
    app: FedMedApp, standing: str, why: str, sentence: str
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, told_with(lambda event: with_standing(event, "C", standing, why)))
        shown = text_of(pilot)
        # the sentence is wrapped beside the candidates: compare in the width of a narrow screen
        await pilot.resize_terminal(80, 40)
        await redraw(pilot)
        narrow = flat(pilot)

    line = next(one for one in shown.splitlines() if "■ C" in one)
    assert f"0.00  ✖ {standing}" in line
    assert sentence in narrow
    assert "The same in 2 of the last three rounds." in narrow


async def test_what_each_update_alone_does_is_a_table_of_losses(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 40)) as pilot:
        await show(pilot)
        lines = text_of(pilot).splitlines()

    row = next(one for one in lines if "■ C" in one and "%" in one)
    assert row.replace("│", " ").split("C", 1)[1].split() == ["+1.2", "%", "+2.1", "%", "−2.7", "%"]


async def test_a_story_by_the_language_model_is_shown_as_such(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 40)) as pilot:
        await show(pilot, told_with(lambda event: msgspec.structs.replace(event, narration="C was [b]unlucky[/b].")))

        assert "Retold by the language model, which decides nothing: C was [b]unlucky[/b]." in flat(pilot)


async def test_the_bars_take_no_more_room_than_they_need_after_the_window_shrank(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await pilot.resize_terminal(80, 24)
        await redraw(pilot)
        await pilot.pause()

        assert app.screen.query_one("#bars").size.height == 4, "three bars and the legend"


# --- candidates, all rounds, method --------------------------------------------------------------------------------------------


async def test_candidates_bear_both_scores_and_the_chosen_one_is_marked(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 30)) as pilot:
        await show(pilot, tab="candidates")
        rows = [line.replace("│", " ").split("  ") for line in text_of(pilot).splitlines()]

    found = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["✔ less of C × 1.25", "0.72 0.39 0.14", "+1.66 %", "+1.42 % ± 0.31"] in found
    assert ["equal", "0.33 0.33 0.33", "−0.19 %", "–"] in found


async def test_a_fixed_rule_has_no_candidates_and_says_so(app: FedMedApp) -> None:
    def as_rule(event: Aggregated) -> Aggregated:
        return msgspec.structs.replace(event, verdict="rule", candidates=())

    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, told_with(as_rule), tab="candidates")

        assert "it tries no candidates" in flat(pilot)


async def test_the_weights_of_all_rounds_stand_on_top_of_each_other(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, tab="by-round")
        shown = text_of(pilot)

    assert "1.00┤" in shown
    assert {"● 0.45", "● 0.47", "▲ 0.37", "▲ 0.41"} <= {
        f"{mark} 0.{rest[1:3]}" for mark in "●▲" for rest in shown.split(f"{mark} 0")
    }


async def test_the_method_tells_cost_error_and_what_the_trust_mode_gives_up(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 40)) as pilot:
        await show(pilot, tab="method")
        shown = flat(pilot)

    assert "21% of the training work, limit 25%" in shown
    assert "combine error 0.21 %" in shown
    assert "They see each other's adapters for it; the coordinator learns losses, never a pair." in shown


# --- what if -------------------------------------------------------------------------------------------------------------------


def ended(job: str) -> Stamped:
    """The engine is done with a job."""
    return Stamped(seq=100, time=script.START, event=JobFinished(job=job, outcome="done"))


async def trained(pilot: Pilot[None], app: FedMedApp) -> RunState:
    """The Aggregator screen after a run of the fake engine."""
    await until(pilot, lambda: app.workspace.status.ready)
    await pilot.press("s")
    await until(pilot, lambda: app.run_state.finished and not app.workspace.training)
    await pilot.press("3")
    await redraw(pilot)
    return app.run_state


async def test_weights_are_moved_with_the_arrows_and_evaluated_with_enter(fake_app: FedMedApp) -> None:
    async with fake_app.run_test(size=(80, 24)) as pilot:
        run = await trained(pilot, fake_app)
        used = fake_app.workspace.what_if.used(run)
        await pilot.press("w", "down", "right", "right", "down", "0", "enter")
        await until(pilot, lambda: fake_app.workspace.what_if.answer(run) and not fake_app.workspace.what_if.job)
        await redraw(pilot)
        shown, answer = flat(pilot), fake_app.workspace.what_if.answer(run)

    assert answer is not None
    assert answer.weights == {"A": used["A"], "B": 0.55, "C": 0.0}
    assert "▼ −0.80 % ± 0.21 validation loss with A 0.53, B 0.55, C 0.00, against the run's weights (round 3, 48 pairs)." in shown
    assert fake_app.workspace.what_if.used(run) == used


async def test_backspace_goes_back_to_the_runs_weights_and_escape_to_the_rounds(app: FedMedApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await show(pilot)
        run, desk = app.run_state, app.workspace.what_if
        await pilot.press("w", "left", "left")
        moved = desk.weights(run)
        await pilot.press("backspace", "escape", "left")
        shown = text_of(pilot)

    assert moved["A"] == 0.45
    assert desk.weights(run) == desk.used(run)
    assert "Weights in round 2" in shown


async def test_a_question_without_an_answer_says_why(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await show(pilot)
        await pilot.press("w", "0", "enter")
        failure = Failure(job=app.workspace.what_if.job, title="Run", message="no [/] round.", where="", hint="Train first.")
        await tell(pilot, [Stamped(seq=99, time=script.START, event=failure), ended(failure.job)])

        assert text_of(pilot).count("no [/] round. Train first.") == 1, "in its place, not as a toast as well"

        await show_another_run(pilot, app)
        assert "no [/] round." not in text_of(pilot), "it is said of the run that was asked about"


async def test_nothing_can_be_tried_before_the_first_round(app: FedMedApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, script.session_events(until=10))
        await pilot.press("w", "right", "enter")
        await redraw(pilot)

        assert "Other weights can be tried when the first round is done." in text_of(pilot)
        assert not app.workspace.what_if.job


# --- pictures ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
def test_what_if_with_an_answer(app: FedMedApp, snap_compare: Compare, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(pilot)
        app.workspace.data_job = ""
        desk, run = app.workspace.what_if, app.run_state
        await pilot.press("w", "down", "left", "down", "right", "right")
        losses = tuple(WhatIfLoss(hospital=name, loss=2.475, as_aggregated=2.451, pairs=16) for name in "ABC")
        desk.job = "what-if-1"
        answer = WhatIfEvaluated(
            job=desk.job, run=run.run, round=3, weights=desk.weights(run), losses=losses, gain=-0.0098, error=0.0031
        )
        desk.take(answer)
        desk.job = ""
        assert app.screen.query_one(WhatIfBars).has_focus
        await redraw(pilot)

    assert snap_compare(app, terminal_size=size, run_before=look)


@pytest.mark.parametrize("tab", ["candidates", "by-round", "method"])
def test_a_tab_of_the_narrow_screen(app: FedMedApp, snap_compare: Compare, tab: str) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await show(pilot, tab=tab)
        app.workspace.data_job = ""

    assert snap_compare(app, terminal_size=(80, 24), run_before=look)
