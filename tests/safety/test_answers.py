"""What a model says reaches the reader word by word, without the sentences that could harm."""

from __future__ import annotations

import re

import pytest

from engine.chat_messages import ChatTurn
from engine.safety.guardrails import Finding
from engine.safety.output import AnswerCheck


def said(answer: str, question: str = "What helps against fever?") -> tuple[str, list[str]]:
    """The text a reader sees of an answer that arrives in small pieces, and the rules that applied."""
    check = AnswerCheck([ChatTurn(role="user", text=question)])
    pieces: list[str | Finding] = []
    for part in re.findall(r"\S{1,4}|\s", answer):
        pieces += check.push(part)
    pieces += check.flush()
    return (
        "".join(piece for piece in pieces if isinstance(piece, str)),
        [piece.rule.id for piece in pieces if isinstance(piece, Finding)],
    )


BAD = {
    "Take 500 mg of ibuprofen every 6 hours.": "invented-dose",
    "You should stop taking your blood pressure pills.": "stop-medication",
    "You definitely have lung cancer.": "certain-diagnosis",
    "Write to jane.doe@example.org for details.": "identifiers",
    "Her MRN is 00123456.": "identifiers",
    "Call her at 555-867-5309 today.": "identifiers",
}


@pytest.mark.parametrize(("sentence", "rule"), BAD.items(), ids=range(len(BAD)))
def test_a_harmful_sentence_is_left_out_and_the_rest_stays(sentence: str, rule: str) -> None:
    text, rules = said(f"Fever is common. {sentence} Rest well.")

    assert rules == [rule]
    assert text.startswith("Fever is common. ") and text.endswith(" Rest well.")
    assert "[left out: " in text
    assert not set(re.findall(r"\d{3,}|@|cancer|pills", sentence)) & set(re.findall(r"\d{3,}|@|cancer|pills", text))


@pytest.mark.parametrize(
    "answer",
    [
        "Anaemia means too few red blood cells.\n\n1. Eat beans.\n2. Rest.\n",
        "A fasting glucose of 126 mg/dL or more may be diabetes.",
        "If you have diabetes, ask your doctor before you stop taking a medicine.",
        "Eat less than 2,300 mg of sodium a day.",
        "It affects about 1 in 10,000 people…",
    ],
)
def test_an_ordinary_answer_passes_unchanged(answer: str) -> None:
    assert said(answer) == (answer, [])


def test_a_dose_that_was_asked_with_may_be_repeated() -> None:
    text, rules = said("A tablet of 500 mg is common.", question="My doctor gave me 500 mg tablets, what are they?")

    assert rules == [] and "500 mg" in text


def test_text_without_a_cue_is_passed_on_before_its_sentence_ends() -> None:
    check = AnswerCheck([ChatTurn(role="user", text="?")])

    assert check.push("Fever makes the body warm") == ["Fever makes the body "]


def test_nothing_of_a_sentence_is_shown_twice_or_lost_when_it_is_cut_short() -> None:
    check = AnswerCheck([ChatTurn(role="user", text="?")])

    pieces = [*check.push("Take "), *check.push("rest and wa"), *check.flush()]

    assert "".join(piece for piece in pieces if isinstance(piece, str)) == "Take rest and wa"
