"""MedQuAD, the public medical question archive (Ben Abacha and Demner-Fushman 2019), as a folder, a .tar.gz or a .zip of its XML.

Its rules, so that everybody who imports the same archive gets the same pairs: white space is collapsed; " ?" and "? ?" at the
end of a question become "?"; pairs without an answer, exact duplicates (the first stays) and answers under six words are left
out; so are three kinds of answer that are no prose: phenotype tables, lists of links, and tables of contents. The pairs of
documents without a focus count as one topic.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from engine.data.pairs import Pair
from engine.data.sources.base import MAX_LINE, BadRow, Dropped, Row, Rows, Source
from engine.data.sources.documents import Document, documents, size
from engine.data.splits import topic_split
from engine.data.store import file_digest, folder_digest

LICENCE = "CC BY 4.0; Ben Abacha and Demner-Fushman, BMC Bioinformatics 20:511 (2019)"
HOSPITAL_OF = {
    "GHR": "A",
    "GARD": "A",
    "MPlusHealthTopics": "B",
    "NIHSeniorHealth": "B",
    "NHLBI": "B",
    "CDC": "B",
    "CancerGov": "C",
    "NIDDK": "C",
    "NINDS": "C",
}
"""Rare and genetic disease, general practice and community health, specialists: by the site that wrote the answer."""
MIN_WORDS = 6
_PHENOTYPES = re.compile("The Human Phenotype Ontology provides the following list of signs and symptoms")
_LINKS = re.compile("These resources address the diagnosis or management")
_CONTENTS = re.compile("On this Page")
NO_PROSE = {
    "GARD": (_PHENOTYPES.search, "phenotype table"),
    "GHR": (_LINKS.match, "list of links"),
    "CDC": (_CONTENTS.match, "table of contents"),
}
"""By source: how such an answer gives itself away, and what it is."""
_QUESTION_END = re.compile(r"(\s*\?)+$")


def medquad(path: Path) -> Source:
    """The archive at `path`."""
    return Source(
        kind="MedQuAD archive" if path.is_file() else "MedQuAD folder",
        name=path.name,
        rows=partial(_rows, path),
        digest=partial(file_digest if path.is_file() else folder_digest, path),
        fields=("id", "question", "answer", "topic", "kind", "split", "hospital", "source"),
        total=size(path),
        licence=LICENCE,
        selection={"B": longest_first, "C": longest_first},
        path=path,
    )


def longest_first(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """Answers of 40 words and more before shorter ones, by the hash of their id: no source is favoured by file order."""
    return sorted(pairs, key=lambda pair: (-min(len(pair.answer.split()), 40), _hash(pair.id)))[:count]


def _rows(path: Path) -> Rows:
    seen: set[bytes] = set()
    ids: Counter[str] = Counter()
    for number, document in enumerate(documents(path, ".xml"), start=1):
        root = _parse(document)
        if isinstance(root, str):
            yield BadRow(number, f"{document.name!r}: {root}", done=document.done)
            continue
        for record in _records(root):
            reason = _reason_to_drop(record, seen) or _no_prose(_numbered(record, ids))
            yield Dropped(reason, document.done) if reason else Row(number, record, document.done)


def _parse(document: Document) -> Element | str:
    """The root element, or what is wrong with the document."""
    if document.data is None:
        return f"the document is longer than {MAX_LINE:,} bytes"
    try:
        root: Element = fromstring(document.data)
    except DefusedXmlException:
        return "the XML declares entities, which can blow up to any size; it was not read"
    except (ParseError, ValueError, LookupError) as error:
        return f"the XML is malformed: {error}"
    return root if root.find(".//QAPairs") is not None else "it holds no QAPairs element, so it is no MedQuAD document"


def _records(root: Element) -> Iterator[dict[str, Any]]:
    source = root.get("source", "")
    topic = _text(root.find("Focus"))
    for pair in root.iter("QAPair"):
        question = pair.find("Question")
        if question is None:
            continue
        yield {
            "id": f"{source}-{question.get('qid', '')}",
            "question": _QUESTION_END.sub("?", _text(question)),
            "answer": _text(pair.find("Answer")),
            "topic": topic,
            "kind": question.get("qtype", ""),
            "split": "" if topic else topic_split(""),
            "hospital": HOSPITAL_OF.get(source, ""),
            "source": source,
        }


def _reason_to_drop(record: dict[str, Any], seen: set[bytes]) -> str:
    """Why the rules leave a pair out, or empty; pairs that were looked at for duplicates are added to `seen`."""
    answer = record["answer"]
    if not answer:
        return "empty answer"
    fingerprint = hashlib.sha256(f"{record['question']}\n{answer}".encode()).digest()
    if fingerprint in seen:
        return "exact duplicate"
    seen.add(fingerprint)
    return f"answer under {MIN_WORDS} words" if len(answer.split()) < MIN_WORDS else ""


def _numbered(record: dict[str, Any], ids: Counter[str]) -> dict[str, Any]:
    """The record with `~2`, `~3` … on an id that came before."""
    ids[record["id"]] += 1
    if ids[record["id"]] > 1:
        record["id"] += f"~{ids[record['id']]}"
    return record


def _no_prose(record: dict[str, Any]) -> str:
    if record["source"] not in NO_PROSE:
        return ""
    recognise, what = NO_PROSE[record["source"]]
    return what if recognise(record["answer"]) else ""


def _text(element: Element | None) -> str:
    return " ".join((element.text or "").split()) if element is not None else ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
