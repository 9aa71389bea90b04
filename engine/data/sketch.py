"""What a hospital may show of its pairs so that copies can be found: keyed hashes, never text.

Each pair becomes a fingerprint (for exact copies) and a MinHash signature (for near ones, Broder 1997), both keyed with a salt
that the hospitals share and the coordinator does not hold. Hash function and permutations are derived from the salt, so without
it nobody can test whether a guessed text is in there. What stays visible to whoever holds the sketches: how many pairs there
are, which are held out, and how alike any two of them are. A hospital that also got hold of another's sketches could test
guesses, since it knows the salt: sketches go to the coordinator only. This is no private set intersection.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasketch import MinHash

from engine.data.pairs import HOSPITAL_NAME, TRAIN, Pair
from engine.data.store import unreadable, unwritable
from engine.errors import DataError

PERMUTATIONS = 512
"""Standard error of an estimated similarity of 0.8: 0.018."""
SHINGLE = 3
"""Words in a row that count as one feature."""
FINGERPRINT_BYTES = 16
BATCH = 200
FORMAT = 2
MAX_BYTES = 384 * 2**20
"""Of a file of sketches, unpacked: some 190,000 pairs."""
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Sketches:
    """The keyed hashes of one hospital's pairs, in the order of its pairs."""

    hospital: str
    fingerprints: np.ndarray
    """(pairs, 16) uint8"""
    signatures: np.ndarray
    """(pairs, 512) uint32"""
    held_out: np.ndarray
    """(pairs,) bool: validation or test"""
    key_check: bytes
    """Equal for sketches made with the same salt and in the same way; in others no copy can be seen. It tells no more of the salt
    than the hash of a well-known text would."""

    def __len__(self) -> int:
        return len(self.held_out)


def normalised(pair: Pair) -> list[str]:
    """The words that count: case, punctuation and white space make no difference."""
    text = unicodedata.normalize("NFKC", f"{pair.question} {pair.answer}").casefold()
    return WORD.findall(text)


def shingles(words: Sequence[str]) -> set[str]:
    """Every run of three words; a shorter text is one feature."""
    if len(words) <= SHINGLE:
        return {" ".join(words)}
    return {" ".join(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)}


def sketch(hospital: str, pairs: Sequence[Pair], salt: str) -> Iterator[int | Sketches]:
    """Work through the pairs; yields how many are done, and at last the Sketches."""
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    empty = _empty_minhash(key)
    fingerprints = np.zeros((len(pairs), FINGERPRINT_BYTES), np.uint8)
    signatures = np.zeros((len(pairs), PERMUTATIONS), np.uint32)
    for at, pair in enumerate(pairs):
        words = normalised(pair)
        digest = hmac.digest(key, " ".join(words).encode(), "sha256")[:FINGERPRINT_BYTES]
        fingerprints[at] = np.frombuffer(digest, np.uint8)
        minhash = empty.copy()
        minhash.update_batch(shingles(words))
        signatures[at] = minhash.hashvalues
        if at % BATCH == 0:
            yield at
    held_out = np.array([pair.split != TRAIN for pair in pairs], bool)
    yield Sketches(hospital, fingerprints, signatures, held_out, _key_check(key))


def save(sketches: Sketches, path: Path) -> None:
    """Write sketches as one file for the coordinator. Raises DataError when the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                format=np.array(FORMAT),
                hospital=np.array(sketches.hospital),
                fingerprints=sketches.fingerprints,
                signatures=sketches.signatures,
                held_out=sketches.held_out,
                key_check=np.frombuffer(sketches.key_check, np.uint8),
            )
    except OSError as error:
        raise unwritable(path, error) from None


def load(path: Path) -> Sketches:
    """Read what `save` wrote. Raises DataError for anything else."""
    hint = "Make it with `fedmed-tui data sketch`."
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())  # no more than that is ever unpacked
        if unpacked > MAX_BYTES:
            raise DataError(f"it would take {unpacked:,} bytes of memory.", where=str(path), hint=hint)
        with np.load(path, allow_pickle=False) as stored:
            if (made := int(stored["format"])) != FORMAT:
                raise DataError(
                    f"was made by another version of this program (form {made}, here {FORMAT}).",
                    where=str(path),
                    hint="Use one version everywhere, and make every sketch anew.",
                )
            return _taken_out(stored)
    except DataError:
        raise
    except OSError as error:
        raise unreadable(path, error) from None
    except Exception:  # the library raises many kinds for a file that is not its own
        raise DataError("is not a file of sketches.", where=str(path), hint=hint) from None


def _taken_out(stored: Mapping[str, np.ndarray]) -> Sketches:
    """Raises KeyError or ValueError for what is no sketches."""
    key_check = stored["key_check"].tobytes()
    sketches = Sketches(str(stored["hospital"]), stored["fingerprints"], stored["signatures"], stored["held_out"], key_check)
    if not _sound(sketches):
        raise ValueError("names, types or shapes are others")
    return sketches


def _sound(sketches: Sketches) -> bool:
    pairs = len(sketches)
    kinds = (
        (sketches.fingerprints, np.uint8, (pairs, FINGERPRINT_BYTES)),
        (sketches.signatures, np.uint32, (pairs, PERMUTATIONS)),
        (sketches.held_out, np.bool_, (pairs,)),
    )
    named = HOSPITAL_NAME.fullmatch(sketches.hospital) is not None
    return named and pairs > 0 and all(array.dtype == kind and array.shape == shape for array, kind, shape in kinds)


def _key_check(key: bytes) -> bytes:
    return hmac.digest(key, f"{FORMAT} {PERMUTATIONS} {SHINGLE} {FINGERPRINT_BYTES}".encode(), "sha256")[:FINGERPRINT_BYTES]


def _empty_minhash(key: bytes) -> MinHash:
    """A MinHash whose hash function and permutations only holders of the key know."""

    def keyed(shingle: str) -> int:
        return int.from_bytes(hashlib.blake2b(shingle.encode(), key=key, digest_size=4).digest(), "big")

    seed = int.from_bytes(hmac.digest(key, b"permutations", "sha256")[:4], "big")
    return MinHash(num_perm=PERMUTATIONS, seed=seed, hashfunc=keyed, scheme="affine32")
