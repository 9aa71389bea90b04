"""Train the second opinion on emergencies: `python -m benchmarks.train_urgency` writes `engine/safety/data/urgency.txt`.

A logistic regression on the mean-free word embeddings of the bundled base model, summed over a message's words. Being linear, it
comes down to one weight a word, and the model is not needed to use it. Learned from the practice sentences, the written half of
the measured ones, and MedQuAD questions; the held-back half is for `safety.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.safety_data import read_shared, sentences, written
from engine.model.base import BaseModel, load_base
from engine.safety.guardrails import Message, telling
from engine.safety.urgency import BIAS, WEIGHTS, words
from engine.settings import ModelSettings

PENALTY = 0.1
"""Weight of the L2 penalty."""
SMALLEST = 0.02
"""Words that weigh less are left out of the file."""
Matrix = NDArray[np.float64]


def main() -> None:
    """Train and write."""
    *_, base = load_base(ModelSettings())
    assert isinstance(base, BaseModel)
    embed = _Embedding(base)
    texts, labels, counts = examples()
    solution = fit(np.stack([embed.message(text) for text in texts]), labels, counts)
    weights = {word: float(embed.word(word) @ solution[:-1]) for word in vocabulary(base, texts)}
    kept = {word: weight for word, weight in sorted(weights.items()) if abs(weight) >= SMALLEST}
    lines = [f"{BIAS} {solution[-1]:.3f}", *(f"{word} {weight:.2f}" for word, weight in kept.items())]
    WEIGHTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{WEIGHTS}: {len(kept)} words from {int((labels > 0).sum())} emergencies and {int((labels < 0).sum())} others")


def examples() -> tuple[list[str], Matrix, Matrix]:
    """Texts, labels (1 emergency, -1 none) and how much each counts."""
    urgent = written("emergencies") + sentences("practice_emergencies")
    calm = [(text, 1.5) for text in written("ordinary") + sentences("practice_ordinary")]
    calm += [(text, 1.0) for text in written("requests")]
    calm += [(text, 0.3) for text in read_shared("medquad", "question")[4000:5000]]
    texts = urgent + [text for text, _ in calm]
    labels = np.array([1.0] * len(urgent) + [-1.0] * len(calm))
    return texts, labels, np.array([1.0] * len(urgent) + [count for _, count in calm])


class _Embedding:
    """Words and messages as vectors (D,)."""

    def __init__(self, base: BaseModel) -> None:
        table = base.model.get_input_embeddings().weight.detach().double()  # (V, D)
        table = table - table.mean(0)
        self._table = (table / table.norm(dim=1, keepdim=True).clamp(min=1e-6)).numpy()
        self._tokenizer = base.tokenizer
        self._words: dict[str, Matrix] = {}

    def word(self, word: str) -> Matrix:
        """Mean over the word's tokens."""
        if word not in self._words:
            ids = self._tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
            self._words[word] = self._table[ids].mean(0)
        return self._words[word]

    def message(self, text: str) -> Matrix:
        """Sum over the message's words, by the root of their number."""
        found = sorted(words(telling(Message(text))))
        if not found:
            return np.zeros(self._table.shape[1])
        total: Matrix = np.sum([self.word(word) for word in found], axis=0) / np.sqrt(len(found))
        return total


def vocabulary(base: BaseModel, texts: Sequence[str]) -> set[str]:
    """Words worth a weight: the examples', those that MedQuAD uses, and every word that is a token of its own."""
    tokens = {token[1:] for token in base.tokenizer.get_vocab() if re.fullmatch(r"Ġ[a-z]{2,}", token)}
    medical = Counter(words_of_answers())
    examples = words(sentence for text in texts for sentence in Message(text).sentences)
    return tokens | examples | {word for word, count in medical.items() if count > 20}


def words_of_answers() -> list[str]:
    """Every word of MedQuAD's answers."""
    return [word for answer in read_shared("medquad", "answer") for word in re.findall(r"[a-z]{3,}", answer.lower())]


def fit(x: Matrix, y: Matrix, counts: Matrix) -> Matrix:
    """Weighted logistic regression with an L2 penalty: D weights and the bias."""

    def loss(parameters: Matrix) -> tuple[float, Matrix]:
        w, bias = parameters[:-1], parameters[-1]
        margin = y * (x @ w + bias)
        slope = -counts * y / (1 + np.exp(margin))
        value = float((counts * np.logaddexp(0, -margin)).sum() + PENALTY / 2 * w @ w)
        return value, np.append(x.T @ slope + PENALTY * w, slope.sum())

    solution: Matrix = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return solution


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
