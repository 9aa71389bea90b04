"""Which field holds what: guessed from names, overridable, and understood in flat, Alpaca and chat records."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.data.mapping import Misfit, guess, guess_hospital_field, hospital_name, to_pair
from engine.data.reading import preview
from engine.errors import DataError
from engine.protocol import FieldMapping, PreviewSource
from tests.data.helpers import imported, rows, run_import, write_csv, write_jsonl

NAMES = {
    "plain": (("question", "answer", "topic"), ("question", "answer", "topic")),
    "capitals and blanks": (("Question Text", "Long Answer", "Topic Name"), ("Question Text", "Long Answer", "Topic Name")),
    "instructions": (("instruction", "response", "subject"), ("instruction", "response", "subject")),
    "prompts": (("prompt", "completion", "category"), ("prompt", "completion", "category")),
    "MedQuAD": (("focus", "qtype", "question", "answer"), ("question", "answer", "focus")),
    "inputs": (("input", "output"), ("input", "output", "")),
    "one telling word": (("Nr", "the question", "Clinician reply"), ("the question", "Clinician reply", "")),
    "two fields with the word": (("question_de", "question_fr", "answer"), ("", "answer", "")),
    "nothing that fits": (("first", "second"), ("", "", "")),
}


@pytest.mark.parametrize("case", NAMES)
def test_fields_are_guessed_from_their_names(case: str) -> None:
    fields, expected = NAMES[case]

    mapping = guess(fields, FieldMapping())

    assert (mapping.question, mapping.answer, mapping.topic) == expected


def test_a_name_that_is_given_is_not_guessed() -> None:
    mapping = guess(("question", "question_de", "answer"), FieldMapping(question="question_de"))

    assert (mapping.question, mapping.answer) == ("question_de", "answer")


def test_the_hospital_field_is_guessed_only_from_clear_names() -> None:
    assert guess_hospital_field(("site", "silo")) == "silo"
    assert guess_hospital_field(("site", "url")) == ""


def _pair(record: dict[str, Any]) -> tuple[str, str]:
    pair = to_pair(record, guess(tuple(record), FieldMapping()), "", Counter())
    return pair.question, pair.answer


def test_alpaca_records() -> None:
    with_input = {"instruction": "Explain the result.", "input": "HbA1c 8.1 %", "output": "It is too high."}
    without = {"instruction": "What is gout?", "input": "", "output": "A disease of the joints."}

    assert _pair(with_input) == ("Explain the result.\nHbA1c 8.1 %", "It is too high.")
    assert _pair(without) == ("What is gout?", "A disease of the joints.")


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}],
        [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": "A."}, {"from": "human", "value": "More?"}],
    ],
)
def test_chats_give_their_first_exchange(messages: list[dict[str, str]]) -> None:
    assert _pair({"messages": messages}) == ("Q?", "A.")


MISFITS = {
    "empty answer": ({"question": "Q?", "answer": " "}, "answer", "the answer is empty"),
    "missing question": ({"question": None, "answer": "A."}, "question", "the question is empty"),
    "a list": ({"question": "Q?", "answer": ["A."]}, "answer", "'answer' is not text"),
    "a truth value": ({"question": True, "answer": "A."}, "question", "'question' is not text"),
    "unknown split": ({"question": "Q?", "answer": "A.", "split": "exam"}, "split", "it names no split"),
    "a chat without an answer": ({"messages": [{"role": "user", "content": "Q?"}]}, "messages", "the answer is empty"),
    "a chat of strings": ({"messages": ["Q?", "A."]}, "messages", "a message is not an object"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_a_record_that_is_no_pair_names_field_and_reason(case: str) -> None:
    record, field, reason = MISFITS[case]

    with pytest.raises(Misfit) as caught:
        _pair(record)

    assert caught.value.field == field
    assert caught.value.reason.startswith(reason)


def test_numbers_are_text_where_a_name_or_id_is_meant(home: Path) -> None:
    run_import(write_jsonl(home / "pairs.jsonl", [{**row, "id": at, "topic": at} for at, row in enumerate(rows(40))]))

    assert [(pair.id, pair.topic) for pair in imported()][:2] == [("0", "0"), ("1", "1")]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("A", "A"),
        ("hospital_B", "B"),
        ("St. Mary's", "St.-Marys"),
        ("Charité – Berlin", "Charite-Berlin"),
        ("Nord/Ost", "Nord-Ost"),
    ],
)
def test_hospital_names_become_folder_names(value: str, name: str) -> None:
    assert hospital_name(value) == name


def test_a_name_without_latin_letters_still_gets_a_stable_folder_name() -> None:
    assert hospital_name("مستشفى") == hospital_name("مستشفى") != hospital_name("医院")


def test_a_preview_shows_the_guess_and_what_it_gives(home: Path) -> None:
    path = write_csv(home / "pairs.csv", [{**row, "Clinic": "Nord"} for row in rows(30)])

    (seen,) = preview(PreviewSource(job="look", source=str(path)))

    assert seen.mapping == FieldMapping(question="question", answer="answer", topic="topic")
    assert (seen.hospital_field, seen.hospitals) == ("Clinic", {"Nord": 30})
    assert (seen.rows, seen.usable) == (30, 30)
    assert seen.examples[0].question == "What helps against ailment 0?"


def test_a_preview_of_unknown_fields_lists_them(home: Path) -> None:
    path = write_csv(home / "pairs.csv", [{"first": "Q?", "second": "A."}])

    (seen,) = preview(PreviewSource(job="look", source=str(path)))

    assert seen.fields == ("first", "second")
    assert (seen.mapping.question, seen.usable) == ("", 0)


def test_an_import_of_unknown_fields_says_which_flag_helps(home: Path) -> None:
    path = write_csv(home / "pairs.csv", [{"first": "Q?", "second": "A."}])

    with pytest.raises(DataError, match=r"its fields are 'first', 'second'\. Name it with --question-field"):
        run_import(path)


def test_a_named_field_that_is_not_there(home: Path) -> None:
    with pytest.raises(DataError, match="no field 'disease'"):
        run_import(write_csv(home / "pairs.csv", rows(30)), mapping=FieldMapping(topic="disease"))
