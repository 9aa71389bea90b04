"""How many tokens pairs have, by the bundled model's tokenizer: without loading the model, or any tensor library."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tokenizers import Tokenizer

from engine import locations
from engine.data.pairs import Pair

BATCH = 256
"""Texts handed over at a time."""


def count_tokens(pairs: Sequence[Pair]) -> int:
    """Tokens in all questions and answers; 0 until the bundled model has been prepared once on this machine."""
    path = locations.bundled_model_folder() / "tokenizer.json"
    if not path.is_file():
        return 0
    tokenizer = _tokenizer(str(path))
    texts = [f"{pair.question}\n{pair.answer}" for pair in pairs]
    batches = (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))
    return sum(len(encoding) for batch in batches for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False))


@lru_cache(maxsize=1)
def _tokenizer(path: str) -> Tokenizer:
    return Tokenizer.from_file(path)
