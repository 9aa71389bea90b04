"""What a model is about to say, sentence by sentence: invented doses, advice to stop a medicine, diagnoses, identifiers.

Text is passed on word by word while its sentence holds nothing that could turn out badly (a number, `stop`, `you have`); from
such a cue on, the sentence is held until it is complete and has been checked. A sentence that breaks a rule is cut at the cue.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.chat_messages import ChatTurn
from engine.safety import rules
from engine.safety.guardrails import Finding, Message, matched
from engine.safety.text import plain

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


class AnswerCheck:
    """One answer on its way to the reader."""

    def __init__(self, turns: Sequence[ChatTurn]) -> None:
        asked = " ".join(turn.text for turn in turns if turn.role == "user")
        self._numbers = frozenset(NUMBER.findall(plain(asked)))
        self._sentence = ""  # the sentence in the making
        self._passed = 0  # how much of it was passed on

    def push(self, text: str) -> list[str | Finding]:
        """The next piece of the answer in; what may be passed on, and what was found, out."""
        self._sentence += text
        passed: list[str | Finding] = []
        while end := SENTENCE_END.search(self._sentence):
            complete, rest = self._sentence[: end.end()], self._sentence[end.end() :]
            passed += self._close(complete)
            self._sentence, self._passed = rest, 0
        words = max(self._sentence.rfind(" "), self._sentence.rfind("\n")) + 1
        if words > self._passed and not rules.load().is_risky(self._sentence):
            passed.append(self._sentence[self._passed : words])
            self._passed = words
        return passed

    def flush(self) -> list[str | Finding]:
        """The end of the answer: what is still held back."""
        passed = self._close(self._sentence)
        self._sentence, self._passed = "", 0
        return passed

    def _close(self, sentence: str) -> list[str | Finding]:
        held = sentence[self._passed :]
        finding = self._find(sentence)
        if finding is None:
            return [held] if held else []
        return [finding, f"[left out: {finding.rule.data.title.lower()}]{held[len(held.rstrip()) :]}"]

    def _find(self, sentence: str) -> Finding | None:
        message = Message(sentence)
        for rule in rules.load().of("output"):
            words = matched(rule, message)
            if words and not (rule.data.unless_asked and self._numbers.issuperset(NUMBER.findall(words))):
                return Finding(rule, words)
        return None
