"""What identifying text looks like: Presidio's own pattern recognisers, and patterns of this project for what they leave out.

Every pattern of ours either contains its cue ("MRN", "born on", "Dr.") or asks for it just before, so that laboratory values,
doses and page numbers are left alone. Presidio compiles patterns with the `regex` module: a look-behind may be of any length.
"""

from __future__ import annotations

from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    NhsRecognizer,
    PhoneRecognizer,
    UkNinoRecognizer,
    UsMbiRecognizer,
    UsSsnRecognizer,
)
from regex import MULTILINE
from regex import compile as compile_pattern
from tldextract import TLDExtract

PERSON, PLACE, HOSPITAL = "PERSON", "PLACE", "HOSPITAL"
KINDS = (
    PERSON,
    "DATE_OF_BIRTH",
    "PHONE",
    "EMAIL",
    "ADDRESS",
    "MRN",
    "NHS_NUMBER",
    "SSN",
    HOSPITAL,
    PLACE,
    "ACCOUNT_NUMBER",
    "INSURANCE_NUMBER",
)
"""Typed placeholders are these in angle brackets."""
CASE_MATTERS = MULTILINE
MIN_PHONE_DIGITS = 9
_ENOUGH_DIGITS = compile_pattern(rf"(?:\d[\s().+/-]{{0,3}}){{{MIN_PHONE_DIGITS}}}")
SURE, LIKELY, POSSIBLE = 0.95, 0.8, 0.6

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?"
    r"|Dec(?:ember)?)"
)
_DATE = (
    rf"(?:\d{{1,2}}[/.-]\d{{1,2}}[/.-](?:\d{{4}}|\d{{2}})|\d{{4}}[/.-]\d{{1,2}}[/.-]\d{{1,2}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?(?:\s+of)?[\s-]{_MONTH}\.?,?[\s-]\d{{4}}|{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}})\b"
)
_SEPARATOR = r"[\s:=#.,(-]*(?:(?:is|was|of|on|the)\s+)*[\s:=#(]*"
_BIRTH = r"(?i:\b(?:d\.?\s?o\.?\s?b\b\.?|date of birth|birth\s?date|birthday|born)|\bb\.)"
_RECORD = r"(?i:\b(?:MRN|medical record|hospital|patient|chart|case|unit|record|file)\s*(?:number|num|no|id|nr)?\b\.?)"
_RECORD_NUMBER = r"(?:[A-Z]{1,3}-?)?(?:\d{5,10}|\d{2,4}(?:-\d{2,4}){2,3}|\d{1,3}-\d{5,8})\b"
_NAME = r"[A-Z][\p{L}'’]*\p{Ll}[\p{L}'’]*"
_NAMES = rf"{_NAME}(?:[ -](?:[A-Z]\.\s)?{_NAME}){{0,2}}"
_STREET = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Close|Court|Ct|Way|Place|Pl|Square|Terrace|Crescent|Boulevard|Blvd|Gardens"
    r"|Grove|Hill|Park|Row|Walk|Parade|Highway|Hwy|Mews)"
)
_UNIT = r"(?:Flat|Apt|Apartment|Unit|Suite|Room)\.?\s*\d+[A-Za-z]?"
_POSTCODE = r"(?:[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}|[A-Z]{2}\s+\d{5}(?:-\d{4})?)"
_TOWN = rf"(?:,\s*{_NAME}(?:\s{_NAME})?)"
_ADDRESS = (
    rf"\b(?:{_UNIT},\s*)?\d{{1,5}}[A-Za-z]?\s(?:[NSEW]\.?\s)?(?:{_NAME}\s){{1,4}}{_STREET}\b\.?"
    rf"(?:,?\s*{_UNIT})?{_TOWN}?(?:,?\s*{_POSTCODE})?"
)
_SOCIAL = r"(?i:\bSSN|social security(?: number| no| card)?)"
_NAME_CUE = r"(?i:\b(?:my name is|full name|patient name|name|patient|pt))"
_PO_BOX = rf"\b(?i:P\.?\s?O\.?\s?Box)\s+\d+{_TOWN}?(?:,?\s*{_POSTCODE})?"
_FACILITY = (
    r"(?:Hospitals?|Infirmary|Clinic|Medical (?:Center|Centre)|Health (?:Center|Centre)|Hospice|Sanatorium"
    r"|Nursing Home|Care Home|Medical Practice)"
)
_TITLE = r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Doctor|Sister|Nurse|Sir|Dame|Rev)\b\.?"


class OfflineEmailRecognizer(EmailRecognizer):
    """Presidio's, without the download of the list of domain suffixes: the copy inside the library serves."""

    _domains = TLDExtract(suffix_list_urls=(), cache_dir=None)

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the part after the @ is a domain name."""
        return bool(self._domains(pattern_text.rpartition("@")[2]).fqdn)


class FullPhoneRecognizer(PhoneRecognizer):
    """Presidio's, but only numbers of at least nine digits: shorter ones are doses and years more often than telephones."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None) -> list[RecognizerResult]:
        """What libphonenumber takes for a number, if it is long enough."""
        if not _ENOUGH_DIGITS.search(text):
            return []  # most texts: the library is slow
        found = super().analyze(text, entities, nlp_artifacts)
        return [one for one in found if sum(character.isdigit() for character in text[one.start : one.end]) >= MIN_PHONE_DIGITS]


def recognizers() -> list[EntityRecognizer]:
    """Everything that works without a language model. Presidio's kinds are renamed to this project's."""
    return [
        OfflineEmailRecognizer(supported_entity="EMAIL"),
        FullPhoneRecognizer(supported_entity="PHONE", supported_regions=("US", "GB"), leniency=0),
        NhsRecognizer(supported_entity="NHS_NUMBER", patterns=[Pattern("without hyphens", r"\b\d{3} ?\d{3} ?\d{4}\b", 0.5)]),
        UsSsnRecognizer(supported_entity="SSN"),
        CreditCardRecognizer(supported_entity="ACCOUNT_NUMBER"),
        IbanRecognizer(supported_entity="ACCOUNT_NUMBER"),
        UsMbiRecognizer(supported_entity="INSURANCE_NUMBER"),
        UkNinoRecognizer(supported_entity="INSURANCE_NUMBER"),
        _patterns("MRN", (rf"(?<={_RECORD}{_SEPARATOR}){_RECORD_NUMBER}", SURE)),
        _patterns("NHS_NUMBER", (rf"(?<=\bNHS\s*(?i:number|no|nr)?\.?{_SEPARATOR})\d{{3}}[ -]?\d{{3}}[ -]?\d{{4}}\b", SURE)),
        _patterns("SSN", (rf"(?<={_SOCIAL}\b{_SEPARATOR})\d{{3}}[ -]?\d{{2}}[ -]?\d{{4}}\b", SURE)),
        _patterns("DATE_OF_BIRTH", (rf"(?<={_BIRTH}{_SEPARATOR}){_DATE}", SURE)),
        _patterns("ADDRESS", (_ADDRESS, SURE), (_PO_BOX, SURE)),
        _patterns(
            HOSPITAL,
            (rf"\b(?:(?:St\.?|Saint)\s)?(?:{_NAME}\s){{1,4}}{_FACILITY}\b", LIKELY),
            (rf"(?<=\b[Tt]he\s)(?:{_NAME}\s){{1,2}}Surgery\b", LIKELY),
        ),
        _patterns(
            PERSON,
            (rf"{_TITLE}\s(?:[A-Z]\.\s?)*{_NAMES}", SURE),
            (rf"(?<={_NAME_CUE}[:\s]+){_NAME}(?:\s[A-Z]\.)?[\s-]{_NAMES}", LIKELY),
        ),
        _patterns(PLACE, (rf"(?<=\b(?i:lives in|living in|moved from|moved to|resident of|resides in)\s){_NAMES}", LIKELY)),
    ]


def _patterns(kind: str, *patterns: tuple[str, float]) -> PatternRecognizer:
    return PatternRecognizer(
        supported_entity=kind,
        name=f"{kind.lower()} patterns",
        patterns=[Pattern(f"{kind} {number}", pattern, score) for number, (pattern, score) in enumerate(patterns, start=1)],
        global_regex_flags=CASE_MATTERS,
    )
