"""The PHI scan of partitions, and the replacement of what it finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

from presidio_anonymizer import AnonymizerEngine
from presidio_anonymizer.entities import RecognizerResult

from engine import locations
from engine.data.pairs import Pair
from engine.data.partition import list_hospitals, read_partition
from engine.data.phi.detector import BATCH, Detector, Finding
from engine.protocol import PhiFinding, PhiScanned, Progress, ScanPhi

FIELDS = ("question", "answer")
EXAMPLES = 30
EXAMPLES_PER_KIND = 6


def scan(command: ScanPhi) -> Generator[Progress | PhiScanned, None, None]:
    """Look for identifying text in the questions and answers of a folder's hospitals. Raises DataError as reading them does."""
    folder = locations.data_folder(command.folder)
    for hospital in (command.hospital,) if command.hospital else list_hospitals(folder):
        pairs = read_partition(folder, hospital)
        detector = _detector(pairs)
        counts: Counter[str] = Counter()
        examples: list[PhiFinding] = []
        affected: set[str] = set()
        for done, (pair, field, findings) in enumerate(find_in(pairs, detector), start=1):
            for finding in findings:
                counts[finding.kind] += 1
                affected.add(pair.id)
                if counts[finding.kind] <= EXAMPLES_PER_KIND and len(examples) < EXAMPLES:
                    text: str = getattr(pair, field)
                    masked = mask(text[finding.start : finding.end])
                    examples.append(PhiFinding(pair=pair.id, field=field, kind=finding.kind, masked=masked))
            if done % BATCH == 0:
                yield Progress(job=command.job, what=f"scanning {hospital}", done=done // 2, total=len(pairs))
        yield PhiScanned(
            job=command.job,
            hospital=hospital,
            pairs=len(pairs),
            affected=len(affected),
            findings=dict(counts.most_common()),
            names=detector.finds_names,
            examples=tuple(examples),
        )


def deidentified(job: str, pairs: Sequence[Pair], found: Counter[str]) -> Generator[Progress, None, list[Pair]]:
    """The pairs with every finding replaced by its kind in angle brackets (`<PERSON>`); counts them in `found`."""
    detector, engine = _detector(pairs), AnonymizerEngine()
    texts: list[str] = []
    for done, (pair, field, findings) in enumerate(find_in(pairs, detector), start=1):
        found.update(finding.kind for finding in findings)
        texts.append(_replaced(engine, getattr(pair, field), findings))
        if done % BATCH == 0:
            yield Progress(job=job, what="replacing identifying text", done=done // 2, total=len(pairs))
    return [
        replace(pair, question=question, answer=answer)
        for pair, question, answer in zip(pairs, texts[0::2], texts[1::2], strict=True)
    ]


def find_in(pairs: Sequence[Pair], detector: Detector) -> Iterator[tuple[Pair, str, list[Finding]]]:
    """Pair, field and findings, for the question and then the answer of each pair."""
    places = [(pair, field) for pair in pairs for field in FIELDS]
    for start in range(0, len(places), BATCH):
        batch = places[start : start + BATCH]
        found = detector.find(getattr(pair, field) for pair, field in batch)
        yield from ((pair, field, findings) for (pair, field), findings in zip(batch, found, strict=True))


def mask(text: str) -> str:
    """Enough to recognise one's own data, not enough to learn it: the first letter of each word, nothing of a number."""
    hidden = [
        character if first and character.isalpha() else "•" if character.isalnum() else character
        for first, character in zip([True, *(not before.isalnum() for before in text)], text, strict=False)
    ]
    return "".join(hidden)


def _detector(pairs: Sequence[Pair]) -> Detector:
    texts = (text for pair in pairs for text in (pair.question, pair.answer))
    return Detector(texts, (pair.topic for pair in pairs))


def _replaced(engine: AnonymizerEngine, text: str, findings: list[Finding]) -> str:
    if not findings:
        return text
    results = [RecognizerResult(finding.kind, finding.start, finding.end, finding.score) for finding in findings]
    replaced: str = engine.anonymize(text, results, merge_entities_with_spaces=False).text
    return replaced
