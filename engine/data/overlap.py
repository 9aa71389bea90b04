"""Copies: within a hospital, from training to held-out pairs, and across hospitals.

`match` is what a coordinator runs: it sees sketches only (see `engine.data.sketch`). Candidates come from locality-sensitive
hashing of the signatures (datasketch), and count when the estimated Jaccard similarity of their three-word runs reaches the
threshold.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from datasketch import LeanMinHash, MinHashLSH

from engine import locations
from engine.data.partition import list_hospitals, read_partition
from engine.data.sketch import PERMUTATIONS, Sketches, load, save, sketch
from engine.errors import DataError
from engine.protocol import (
    CheckOverlap,
    NearPair,
    OverlapCell,
    OverlapMeasured,
    Progress,
    SketchesWritten,
    SketchPairs,
    SplitLeak,
)

MISS = 0.001
"""Largest probability that hashing loses two pairs that are exactly as alike as the threshold."""
EXAMPLES = 20
STEP = 200


@dataclass
class Matches:
    """What was found. Positions count pairs within their hospital, from 0."""

    cells: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    """(hospital, other) → [exact, near]"""
    leaks: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    """hospital → [own, others]"""
    within: list[tuple[str, int, int, float]] = field(default_factory=list)
    """hospital, two positions, similarity: the first few."""


@dataclass
class _Group:
    """Pairs, of any hospital, with the same signature."""

    members: list[tuple[int, int]] = field(default_factory=list)
    """(hospital's number, position)"""
    pairs: Counter[int] = field(default_factory=Counter)
    training: Counter[int] = field(default_factory=Counter)


def check_overlap(command: CheckOverlap) -> Generator[Progress | OverlapMeasured, None, None]:
    """Sketch every hospital of the folder (or load the sketches given), match them, and count.

    Raises:
        DataError: a partition or a file of sketches cannot be read, or the threshold is out of range.
    """
    started = time.monotonic()
    if not 0.3 <= command.threshold <= 1.0:
        raise DataError(f"{command.threshold} is no sensible similarity.", where="threshold", hint="Choose 0.3 to 1.")
    folder = locations.data_folder(command.folder)
    ids: dict[str, list[str]] = {}
    if command.sketches:
        sketches = [load(Path(name).expanduser()) for name in command.sketches]
        _check_names([one.hospital for one in sketches])
    else:
        sketches = yield from _sketch_folder(command, folder, ids)
    matches = yield from _drive(command.job, sketches, command.threshold)
    yield OverlapMeasured(
        job=command.job,
        folder=str(folder) if ids else "",
        threshold=command.threshold,
        pairs={one.hospital: len(one) for one in sketches},
        cells=tuple(
            OverlapCell(hospital=hospital, other=other, exact=exact, near=near)
            for (hospital, other), (exact, near) in sorted(matches.cells.items())
        ),
        leaks=tuple(
            SplitLeak(hospital=one.hospital, own=own, others=others, held_out=int(one.held_out.sum()))
            for one in sketches
            for own, others in (matches.leaks[one.hospital],)
        ),
        examples=tuple(
            NearPair(hospital=hospital, first=_id(ids, hospital, first), second=_id(ids, hospital, second), similarity=similarity)
            for hospital, first, second, similarity in matches.within
        ),
        seconds=time.monotonic() - started,
    )


def sketch_pairs(command: SketchPairs) -> Generator[Progress | SketchesWritten, None, None]:
    """Write one hospital's sketches to a file for the coordinator. Raises DataError without a salt."""
    if not command.salt:
        raise DataError("sketches need a salt.", where="salt", hint="Agree on a long random one with the other hospitals.")
    pairs = read_partition(locations.data_folder(command.folder), command.hospital)
    path = Path(command.target).expanduser()
    for item in sketch(command.hospital, pairs, command.salt):
        if isinstance(item, int):
            yield Progress(job=command.job, what=f"sketching {command.hospital}", done=item, total=len(pairs))
        else:
            save(item, path)
            yield SketchesWritten(job=command.job, hospital=command.hospital, pairs=len(item), file=str(path))


def match(sketches: Sequence[Sketches], threshold: float) -> Iterator[int | Matches]:
    """Compare every pair with every other; yields how many are done, and at last the Matches.

    Raises DataError for sketches of different salts, in which copies could not be seen.
    """
    _check_keys(sketches)
    groups, signatures = _grouped(sketches)
    exact = _exact_copies(sketches)
    matches = Matches()
    for item in neighbours(signatures, threshold):
        if isinstance(item, int):
            yield item
        else:
            at, near = item
            _count(sketches, groups[at], [(groups[other], similarity) for other, similarity in near], exact, matches)
    yield matches


def neighbours(signatures: np.ndarray, threshold: float) -> Iterator[int | tuple[int, list[tuple[int, float]]]]:
    """For each row of `signatures` (pairs, 512): the rows like it, itself among them, with estimated similarities.

    Between results it yields plain numbers: how far it has come, up to the number of rows.
    """
    index = MinHashLSH(num_perm=PERMUTATIONS, params=_bands(threshold))
    hashes = [LeanMinHash(seed=0, hashvalues=signature, scheme="affine32") for signature in signatures]
    for at, one in enumerate(hashes):
        index.insert(at, one, check_duplication=False)
        if at % STEP == 0:
            yield at // 2
    for at, one in enumerate(hashes):
        candidates = np.array(sorted(index.query(one)))
        alike = (signatures[candidates] == signatures[at]).mean(axis=1)
        yield at, [(int(row), float(value)) for row, value in zip(candidates, alike, strict=True) if value >= threshold]
        if at % STEP == 0:
            yield (len(hashes) + at) // 2


def _bands(threshold: float) -> tuple[int, int]:
    """Bands and rows: the most selective ones that still find a pair at the threshold almost surely."""
    fitting = (
        (PERMUTATIONS // rows, rows) for rows in range(24, 0, -1) if (1 - threshold**rows) ** (PERMUTATIONS // rows) <= MISS
    )
    return next(fitting)


def _grouped(sketches: Sequence[Sketches]) -> tuple[list[_Group], np.ndarray]:
    """Pairs by signature, and the signatures (groups, 512): a thousand copies of one pair are one entry."""
    groups: dict[bytes, _Group] = {}
    for number, own in enumerate(sketches):
        for position in range(len(own)):
            group = groups.setdefault(own.signatures[position].tobytes(), _Group())
            group.members.append((number, position))
            group.pairs[number] += 1
            group.training[number] += not own.held_out[position]
    signatures = np.frombuffer(b"".join(groups), np.uint32).reshape(-1, PERMUTATIONS)
    return list(groups.values()), signatures


def _exact_copies(sketches: Sequence[Sketches]) -> dict[bytes, Counter[int]]:
    """Fingerprint → pairs by hospital's number."""
    copies: dict[bytes, Counter[int]] = defaultdict(Counter)
    for number, own in enumerate(sketches):
        for fingerprint in own.fingerprints:
            copies[fingerprint.tobytes()][number] += 1
    return copies


def _count(
    sketches: Sequence[Sketches],
    group: _Group,
    near: list[tuple[_Group, float]],
    exact: dict[bytes, Counter[int]],
    matches: Matches,
) -> None:
    """Add what the members of one group have in common with the groups near it, itself among them."""
    pairs: Counter[int] = Counter()
    training: Counter[int] = Counter()
    for one, _ in near:
        pairs.update(one.pairs)
        training.update(one.training)
    if pairs.total() == 1:
        return
    for number, position in group.members:
        own = sketches[number]
        copies = exact[own.fingerprints[position].tobytes()]
        held_out = bool(own.held_out[position])
        for other, found in pairs.items():
            if found - (other == number) > 0:
                is_exact = copies[other] - (other == number) > 0
                matches.cells[own.hospital, sketches[other].hospital][0 if is_exact else 1] += 1
        if held_out:
            matches.leaks[own.hospital][0] += training[number] > 0
            matches.leaks[own.hospital][1] += training.total() > training[number]
        if len(matches.within) < EXAMPLES:
            matches.within.extend(_examples(own.hospital, number, position, near))
            del matches.within[EXAMPLES:]


def _examples(
    hospital: str, number: int, position: int, near: list[tuple[_Group, float]]
) -> Iterator[tuple[str, int, int, float]]:
    """Later pairs of the same hospital that are like this one."""
    for group, similarity in near:
        yield from (
            (hospital, position, other, round(similarity, 3))
            for owner, other in group.members
            if owner == number and other > position
        )


def _sketch_folder(command: CheckOverlap, folder: Path, ids: dict[str, list[str]]) -> Generator[Progress, None, list[Sketches]]:
    salt = command.salt or secrets.token_hex(32)
    sketches = []
    for hospital in list_hospitals(folder):
        pairs = read_partition(folder, hospital)
        ids[hospital] = [pair.id for pair in pairs]
        for item in sketch(hospital, pairs, salt):
            if isinstance(item, int):
                yield Progress(job=command.job, what=f"sketching {hospital}", done=item, total=len(pairs))
            else:
                sketches.append(item)
    return sketches


def _drive(job: str, sketches: list[Sketches], threshold: float) -> Generator[Progress, None, Matches]:
    total = sum(len(one) for one in sketches)
    found = Matches()
    for item in match(sketches, threshold):
        if isinstance(item, int):
            yield Progress(job=job, what="comparing", done=item, total=total)
        else:
            found = item
    return found


def _check_names(hospitals: list[str]) -> None:
    twice = [name for name, count in Counter(hospitals).items() if count > 1]
    if twice:
        raise DataError(f"two files of sketches are of hospital {twice[0]}.", where="sketches", hint="Give one per hospital.")


def _check_keys(sketches: Sequence[Sketches]) -> None:
    by_key: dict[bytes, list[str]] = defaultdict(list)
    for one in sketches:
        by_key[one.key_check].append(one.hospital)
    if len(by_key) > 1:
        parties = " and ".join(", ".join(hospitals) for hospitals in by_key.values())
        raise DataError(
            f"the sketches of {parties} were made with different salts: no copy could be seen.",
            where="sketches",
            hint="Make them anew with one salt that all hospitals share, and one version of this program.",
        )


def _id(ids: dict[str, list[str]], hospital: str, position: int) -> str:
    """The pair's id, where the pairs are at hand, else its number."""
    return ids[hospital][position] if hospital in ids else f"pair {position + 1}"
