"""What was asked and answered is kept, found again, and written out as Markdown."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import RunError
from engine.protocol import DISCLAIMER
from fedmed_tui.history import Answered, History, as_markdown, export


def answered(question: str, *, run: str = "demo", adapter: str = "B", asked: float = 1.0, **more: object) -> Answered:
    return Answered(run=run, adapter=adapter, asked=asked, question=question, answer=f"About {question}.", **more)  # type: ignore[arg-type]


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Four answers: three of one conversation, one of another."""
    history = History(tmp_path / "history.sqlite3")
    history.add(answered("gout", asked=1.0))
    history.add(answered("asthma in children", asked=2.0, findings="Possible stroke", tokens=9, seconds=0.5))
    history.add(answered("100 % of gout", asked=3.0))
    history.add(answered("gout", run="", adapter="base", asked=4.0))
    return history


def test_a_conversation_comes_back_in_order_in_another_session(history: History) -> None:
    again = History(history.path).conversation("demo", "B")

    assert [one.question for one in again] == ["gout", "asthma in children", "100 % of gout"]
    assert again[1] == answered("asthma in children", asked=2.0, findings="Possible stroke", tokens=9, seconds=0.5)


def test_every_word_must_be_found_in_question_or_answer(history: History) -> None:
    assert [one.asked for one in history.search("GOUT about")] == [4.0, 3.0, 1.0]
    assert [one.asked for one in history.search("gout", run="demo")] == [3.0, 1.0]
    assert history.search("gout asthma") == []


def test_signs_of_the_search_language_are_ordinary_characters(history: History) -> None:
    assert [one.asked for one in history.search("%")] == [3.0]
    assert history.search("' OR 1=1 --") == []


def test_questions_are_recalled_without_repeats(history: History) -> None:
    assert history.questions() == ["asthma in children", "100 % of gout", "gout"]


def test_a_conversation_can_be_forgotten(history: History) -> None:
    history.forget("demo", "B")

    assert history.conversation("demo", "B") == []
    assert len(history.conversation("", "base")) == 1


def test_nothing_is_written_before_the_first_answer(tmp_path: Path) -> None:
    history = History(tmp_path / "deep" / "history.sqlite3")

    assert history.search("gout") == []
    assert not history.path.parent.exists()


def test_only_its_owner_may_read_it(history: History) -> None:
    assert history.path.stat().st_mode & 0o077 == 0


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    path.write_bytes(b"no database" * 100)

    with pytest.raises(RunError, match="cannot be used") as caught:
        History(path).add(answered("gout"))

    assert caught.value.where == str(path)


def test_the_transcript_quotes_what_people_and_models_wrote(history: History) -> None:
    history.add(answered("# I am a heading\x1b[2J\n*me too*", asked=5.0, adapter="global", system="Be brief."))

    written = as_markdown(history.search(""))

    assert DISCLAIMER in written
    assert "> # I am a heading[2J\n> *me too*" in written
    assert written.index("## B · run demo") < written.index("## base") < written.index("## global · run demo")
    assert "*Safety: Possible stroke*" in written and "*System prompt: Be brief.*" in written
    assert all(line.startswith((">", "#", "*", "")) for line in written.splitlines())


def test_transcripts_written_in_one_second_lie_beside_each_other(home: Path) -> None:
    first = export([answered("one")])
    second = export([answered("two")])

    assert "> one" in first.read_text() and "> two" in second.read_text()
