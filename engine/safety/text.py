"""Text as the safety rules read it: one spelling for each thing, cut into sentences and clauses.

Rules are matched on this form only; what a person typed is never changed on the screen or in the prompt.
"""

from __future__ import annotations

import re
import unicodedata

_SPELLINGS = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"[‘’ʼ`´]", "'"),
        (r"\bo\.?d'?(?:d|ed)\b", "overdosed"),
        (r"\bwon'?t\b", "will not"),
        (r"\b(?:can'?t|can not)\b", "cannot"),
        (r"\b(do|does|did|is|was|are|were|have|has|had|would|could|should|need|must)n'?t\b", r"\1 not"),
        (r"\bain'?t\b", "is not"),
        (r"\bi'?m\b", "i am"),
        (r"\bi'?ve\b", "i have"),
        (r"'ve\b", " have"),
        (r"'re\b", " are"),
        (r"'ll\b", " will"),
        (r"'d\b", " would"),
        (r"\b(he|she|it|that|there|what)'s\b", r"\1 is"),
        (r"\b(he|she|that|what)s\b", r"\1 is"),
        (r"(?<=\w)'s\b", " s"),
        (r"\bgonna\b", "going to"),
        (r"\bwanna\b", "want to"),
        (r"\bn\b", "and"),
        (r"\b(breath|bleed|chok|dy|cough|vomit|swell|pass|hav|go|feel|talk|throw)in\b", r"\1ing"),
        (r"(?<=\w)[-/](?=\w)", " "),
        (r"([a-z])\1{2,}", r"\1\1"),
        (r"(?<=\d),(?=\d{3})", ""),
        (r"[*_~\"“”()\[\]]", " "),
        (r"[^\S\n]+", " "),
    )
)
_SENTENCE_END = re.compile(r"(?<=[.?!;])\s+|\n+|\.{2,}")
_CLAUSE_END = re.compile(r"\s*[,;:–—]\s*|\s+(?:but|however|although|though|and now|and today|except)\s+")


def plain(text: str) -> str:
    """Lower case, without contractions, hyphens, invisible characters or markup: `I can’t breathe` is `i cannot breathe`."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = "".join(" " if character in "\t\r" else character for character in text if _is_visible(character))
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    return text.strip()


def sentences(text: str) -> list[str]:
    """The sentences of a plain text."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def clause(sentence: str, start: int, end: int) -> str:
    """The part of a sentence around [start, end) up to a comma or `but`; a short opening phrase belongs to what follows."""
    first, last = 0, len(sentence)
    for found in _CLAUSE_END.finditer(sentence):
        if found.end() <= start:
            opening = first == 0 and len(sentence[: found.start()].split()) <= 4
            first = 0 if opening else found.end()
        elif found.start() >= end:
            last = found.start()
            break
    return sentence[first:last]


def _is_visible(character: str) -> bool:
    return character in "\n\t\r" or unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cn")
