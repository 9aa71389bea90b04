"""How bytes are spoilt, and what a reader of them is."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Edit = tuple[str, float, float, bytes]
"""What to do, where (0 to 1), with how much (0 to 1) or what."""
TOKENS = (
    *b'null|true|-1|0|1e999|1e308|NaN|99999999999999999999|""|[]|{}|"\\ud800"|"../../x"|\xff\xfe|\x00|\n|\r|"|\'|,|;|\t|{|}'.split(
        b"|"
    ),
    *b"[[[[|../../x|%s|\x1b]0;x\x07|<!ENTITY a 'b'>|&a;|\xe2\x80\xae|1970-01-01|0x41|PAR1|PK\x03\x04|\x1f\x8b".split(b"|"),
    *b"F8_E8M0|I64|[0,4611686018427387904,9]".split(b"|"),
    *(b"9" * 400, b"9" * 5000, b"[" * 3000),
)
SPLIT = b"\x00SPLIT\x00"
"""Between the files of a reader that takes several."""
KINDS = ("flip", "insert", "delete", "repeat", "cut", "number", "number", "value", "value")


@dataclass(frozen=True)
class Reader:
    """One reader: good bytes, and what reads them from a folder of its own."""

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes, Path], object]
    cost: float = 1.0
    """Share of the mutations it gets."""


def spoiled(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The bytes after some edits."""
    out = bytearray(data)
    for kind, where, amount, token in edits:
        at, size = int(where * len(out)), 1 + int(amount * 16)
        match kind:
            case "flip" if out:
                out[min(at, len(out) - 1)] ^= 1 << int(amount * 7)
            case "insert":
                out[at:at] = token
            case "delete":
                del out[at : at + size]
            case "repeat":
                out[at:at] = out[at : at + size * 8] * size
            case "cut":
                del out[at:]
            case "number":
                digit = next((n for n in range(at, len(out)) if 48 <= out[n] <= 57), None)
                if digit is not None:
                    out[digit : digit + 1] = token
            case "value":
                colon = out.find(b":", at) + 1
                end = next((n for n in range(colon, len(out)) if out[n] in b",}]\n"), colon)
                out[colon:end] = token
    return bytes(out)


def drawn_edits(draw: random.Random) -> list[Edit]:
    """A few edits."""
    return [
        (draw.choice(KINDS), draw.random(), draw.random(), draw.choice(TOKENS)) for _ in range(draw.choice((1, 1, 1, 1, 2, 3)))
    ]


def in_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    """Reads the bytes from a file of that name."""

    def write_and_read(data: bytes, folder: Path) -> object:
        (folder / name).write_bytes(data)
        return read(folder / name)

    return write_and_read


def joined(*parts: bytes) -> bytes:
    """Several files as one."""
    return SPLIT.join(parts)


def parted(data: bytes, parts: int) -> list[bytes]:
    """So many files again; what spoiling has taken away is empty."""
    found = data.split(SPLIT, parts - 1)
    return found + [b""] * (parts - len(found))


def framed(header: bytes, body: bytes) -> bytes:
    """A safetensors file with the right length before its header, so that the header is read whatever it says."""
    return len(header).to_bytes(8, "little") + header + body


def unframed(data: bytes) -> tuple[bytes, bytes]:
    """Header and body of a safetensors file."""
    end = 8 + int.from_bytes(data[:8], "little")
    return data[8:end], data[end:]
