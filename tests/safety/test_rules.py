"""The rules are data: complete, readable, and each of them does something."""

from __future__ import annotations

import pytest

from benchmarks.safety_data import sentences
from engine.safety import rules
from engine.safety.guardrails import Message, matched
from engine.safety.rules import Vocabulary

EVERY_RULE = rules.load().all


def test_ids_are_unique() -> None:
    assert len({rule.id for rule in EVERY_RULE}) == len(EVERY_RULE)


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.id)
def test_a_rule_says_why_and_by_whose_word(rule: rules.Rule) -> None:
    assert rule.data.title and len(rule.data.reason) > 30 and len(rule.data.source) > 10
    assert rule.message or rule.data.layer == "output"


def test_every_rule_for_emergencies_is_met_by_some_practice_sentence() -> None:
    messages = [Message(text) for name in ("emergencies", "practice_emergencies") for text in sentences(name)]
    idle = [
        rule.id
        for rule in rules.load().of("triage")
        if rule.data.action == "answered" and rule.any and not any(matched(rule, message) for message in messages)
    ]

    assert not idle


def test_a_pattern_near_another_matches_in_both_orders_but_not_across_a_denial() -> None:
    pattern = Vocabulary({"hurts": ["hurts?", "aches"]}).compile("chest <3> {hurts}")

    assert pattern.search("my chest really hurts")
    assert pattern.search("it hurts in my chest")
    assert not pattern.search("my chest has never hurt")
    assert not pattern.search("the chest of drawers is old and it hurts")
