"""Lines of a text file, plain or gzip, of any encoding, whatever is in them: no line is read further than the limit."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from engine.data.sources.base import MAX_LINE
from engine.data.store import unreadable
from engine.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
PIECE = 2**20
"""Characters read at once."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TextFile:
    """An open text file. Bytes that are no text become lone surrogates, so that one bad line stays one bad line."""

    def __init__(self, text: io.TextIOWrapper, raw: BinaryIO) -> None:
        self._text = text
        self._raw = raw

    @property
    def position(self) -> int:
        """Bytes of the file on disk that were read."""
        return self._raw.tell()

    def read(self, characters: int) -> str:
        """The next `characters`, or fewer at the end. Takes memory for what is there, not for what was asked for."""
        parts = []
        while characters > 0 and (part := self._text.read(min(characters, PIECE))):
            parts.append(part)
            characters -= len(part)
        return "".join(parts)

    def lines(self) -> Iterator[str | None]:
        """Each line with its newline; None in place of one that is longer than `MAX_LINE`."""
        while line := self._text.readline(MAX_LINE):
            if len(line) < MAX_LINE or line.endswith("\n"):
                yield line
                continue
            while (rest := self._text.readline(MAX_LINE)) and not rest.endswith("\n"):
                pass
            yield None


@contextmanager
def open_text(path: Path, encoding: str = "") -> Iterator[TextFile]:
    """Open a text file, gzip or not. Raises DataError for everything the system or the archive has against it."""
    with reading(path), ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        binary = stack.enter_context(_content(raw))
        text_encoding = encoding or _encoding(binary)
        errors = "replace" if text_encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
        text = stack.enter_context(io.TextIOWrapper(binary, encoding=text_encoding, errors=errors, newline=None))
        yield TextFile(text, raw)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a sentence."""
    try:
        yield
    except EOFError:
        raise DataError("the gzip file is cut short.", where=str(path), hint="Copy or download it again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"the gzip file is damaged: {error}.", where=str(path), hint="Copy or download it again.") from None
    except LookupError as error:
        raise DataError(
            f"cannot be decoded: {error}.", where=str(path), hint="Use an encoding such as utf-8 or cp1252."
        ) from None
    except UnicodeError as error:
        raise DataError(f"is not text in that encoding: {error}.", where=str(path), hint="Name the right --encoding.") from None
    except OSError as error:
        raise unreadable(path, error) from None


def _content(raw: BinaryIO) -> BinaryIO:
    """The file's content: decompressed when it is gzip."""
    is_gzip = raw.read(2) == GZIP_MAGIC
    raw.seek(0)
    return cast(BinaryIO, gzip.open(raw)) if is_gzip else raw


def _encoding(binary: BinaryIO) -> str:
    start = binary.read(4)
    binary.seek(0)
    return next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
