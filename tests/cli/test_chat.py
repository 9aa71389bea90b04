"""`fedmed-tui chat`, with a real engine and a tiny model."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import pytest

from engine.errors import RunError
from engine.plain_text import printable
from engine.protocol import DISCLAIMER, FIXED_DISCLAIMER, AnyCommand, Chat, ChatFinished, ChatTurn, decode_event
from fedmed_tui.cli import BAD_INPUT, DONE, main
from fedmed_tui.cli.chat import choose_adapters
from fedmed_tui.cli.session import EngineSession, JobOutcome
from tests.cli.helpers import TRAINED, edit_json

QUESTION = "What are symptoms of diabetes?"


def test_one_question_gets_one_answer_with_the_disclaimer(trained_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["chat", "--hospital", "B", "--query", QUESTION])

    output = capsys.readouterr()
    answer = output.out.removesuffix(f"\n\n{DISCLAIMER}\n\n")
    assert code == DONE
    assert answer.strip()
    assert answer != output.out
    assert "tokens/s" in output.err


def test_piped_questions_are_answered_line_by_line(
    trained_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{QUESTION}\n\n{QUESTION}\n"))

    main(["chat", "--run", TRAINED, "--max-tokens", "12"])

    first, second = capsys.readouterr().out.removesuffix("\n").split(f"\n\n{DISCLAIMER}\n")[:2]
    assert first == second.removeprefix("\n")  # greedy, and the second does not know of the first


def test_json_output_is_events_and_the_disclaimer_stays_beside_it(trained_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["chat", "--run", TRAINED, "--query", QUESTION, "--json"])

    output = capsys.readouterr()
    events = [decode_event(line.encode()).event for line in output.out.splitlines()]
    assert [event.adapter for event in events if isinstance(event, ChatFinished)] == ["global"]
    assert DISCLAIMER in output.err


def test_compared_adapters_answer_in_the_order_they_were_named(trained_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["chat", "--compare", "base,B,global@1", "--run", TRAINED, "--query", QUESTION, "--max-tokens", "8"])

    output = capsys.readouterr()
    headings = [line for line in output.out.splitlines() if line.startswith("## ")]
    assert code == DONE
    assert headings == ["## base", "## B", "## global@1"]
    assert output.out.count(DISCLAIMER) == 1


def test_every_option_reaches_the_engine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[AnyCommand] = []

    async def note(session: EngineSession, command: AnyCommand) -> JobOutcome:
        asked.append(command)
        return "done"

    monkeypatch.setattr(EngineSession, "run", note)
    manner = ["--temperature", "0.7", "--top-p", "0.9", "--seed", "3", "--max-tokens", "40", "--system", "Be brief.", "--hint"]

    main(["chat", "--hospital", "base", "--query", QUESTION, *manner])

    (chat,) = asked
    assert isinstance(chat, Chat)
    assert (chat.temperature, chat.top_p, chat.seed, chat.max_tokens, chat.hint) == (0.7, 0.9, 3, 40, True)
    assert chat.turns == (ChatTurn(role="system", text="Be brief."), ChatTurn(role="user", text=QUESTION))


def test_the_hint_tells_which_hospital_may_answer_best(trained_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["chat", "--run", TRAINED, "--query", QUESTION, "--max-tokens", "4", "--hint"])

    assert "may answer this best" in capsys.readouterr().err


@pytest.mark.parametrize("names", ["base", "base,base", "base,A,B,C,global"])
def test_a_comparison_needs_two_to_four_different_adapters(names: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "--compare", names, "--query", QUESTION]) == BAD_INPUT
    assert "--compare" in capsys.readouterr().err


def test_an_emergency_is_answered_without_a_model(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["chat", "--hospital", "base", "--query", "My father is unconscious and not breathing"])

    output = capsys.readouterr()
    assert "Call your local emergency number now" in output.out and FIXED_DISCLAIMER in output.out
    assert "Safety rule" in output.err and "loading" not in output.err


def test_without_a_run_named_the_latest_with_adapters_is_used(trained_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newer = trained_run.parent / "newer-without-adapters"
    newer.mkdir()
    shutil.copy(trained_run / "manifest.json", newer)
    edit_json(newer / "manifest.json", lambda manifest: manifest.update(run=newer.name, created=2e9))

    adapters, run, _ = choose_adapters(("B",), "")

    assert (adapters, run) == (("B",), TRAINED)
    assert TRAINED in capsys.readouterr().err


def test_before_the_first_run_the_base_model_answers_and_a_note_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapters, run, _ = choose_adapters(("global",), "")

    assert (adapters, run) == (("base",), "")
    assert "untrained base model" in capsys.readouterr().err


@pytest.mark.parametrize("names", [("B",), ("base", "B"), ("global@2",)])
def test_before_the_first_run_an_adapter_that_is_asked_for_by_name_is_an_error(home: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(RunError, match="no run has left adapters yet"):
        choose_adapters(names, "")


def test_the_base_model_of_the_run_is_the_one_that_is_loaded(trained_run: Path, tiny_model: Path) -> None:
    _, _, config = choose_adapters(("base",), TRAINED)

    assert config.model.source == os.fspath(tiny_model)


def test_a_terminal_never_obeys_what_a_model_writes() -> None:
    assert printable("a\x1b[2J\x07b\n\tc\x9bd") == "a[2Jb\n\tcd"
