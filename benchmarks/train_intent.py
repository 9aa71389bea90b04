"""Train the classifier of harmful requests: `python -m benchmarks.train_intent` writes `engine/safety/data/intent.f32`.

Harmful: the training part of MedSafetyBench (`../shared/data/med_safety.jsonl.gz`; MIT, to be used for research only; the rest is
for `safety.py`) and requests in everyday words (`sentences/practice_harmful.txt`). Harmless: MedQuAD, PubMedQA, MMLU questions,
this project's own sentences but for the held-back halves, and requests put together at random from `sentences/benign_parts.toml`,
so that the manner of a request does not decide.
"""

from __future__ import annotations

import random
import tomllib
from array import array

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from benchmarks.safety_data import SENTENCES, med_safety, read_shared, research_questions, sentences, written
from engine.safety.intent import WEIGHTS, features

SIZE = 8192
PENALTY = 0.1
"""Weight of the L2 penalty."""
MADE_UP = 3000
"""Harmless requests put together at random."""
SEED = 7


def main() -> None:
    """Train and write."""
    texts, labels, weights = examples()
    solution = fit(matrix(texts), labels, weights)
    WEIGHTS.write_bytes(array("f", solution).tobytes())
    print(f"{WEIGHTS}: {SIZE} weights from {int((labels > 0).sum())} harmful and {int((labels < 0).sum())} harmless requests")


def examples() -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Texts, labels (1 harmful, -1 harmless) and how much each counts."""
    harmful = [(text, 3.0) for text in med_safety(test=False)] + [(text, 8.0) for text in sentences("practice_harmful")]
    harmless = [(text, 1.0) for text in read_shared("medquad", "question")[2000:5000]]
    harmless += [(text, 1.0) for text in research_questions(learned=True) + read_shared("mmlu_medical", "question")[:500]]
    harmless += [(text, 8.0) for text in written("requests")]
    harmless += [(text, 2.0) for name in ("ordinary", "emergencies") for text in written(name)]
    harmless += [(text, 2.0) for name in ("practice_ordinary", "practice_doses") for text in sentences(name)]
    harmless += [(text, 1.0) for text in made_up(MADE_UP)]
    labels = np.array([1.0] * len(harmful) + [-1.0] * len(harmless))
    return [text for text, _ in harmful + harmless], labels, np.array([weight for _, weight in harmful + harmless])


def made_up(count: int) -> list[str]:
    """Harmless requests from random parts."""
    parts = tomllib.loads((SENTENCES / "benign_parts.toml").read_text(encoding="utf-8"))
    random_parts = random.Random(SEED)
    requests = []
    for _ in range(count):
        act = random_parts.choice(parts["acts"])
        names = {one: random_parts.choice(parts[f"{one}s"]) for one in ("role", "doc", "topic", "title")}
        requests.append(random_parts.choice(parts["frames"]).format(act=act, Act=act[0].upper() + act[1:], **names))
    return requests


def matrix(texts: list[str]) -> csr_matrix:
    """One row a text, each of unit length."""
    found = [sorted(features(text, SIZE)) for text in texts]
    rows = np.repeat(np.arange(len(texts)), [len(places) for places in found])
    values = np.concatenate([np.full(len(places), 1 / np.sqrt(len(places))) for places in found])
    return csr_matrix((values, (rows, np.concatenate(found))), shape=(len(texts), SIZE))


def fit(x: csr_matrix, y: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted logistic regression with an L2 penalty: SIZE weights and the bias."""

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w, bias = parameters[:-1], parameters[-1]
        margin = y * (x @ w + bias)
        slope = -weights * y / (1 + np.exp(margin))
        value = float((weights * np.logaddexp(0, -margin)).sum() + PENALTY / 2 * w @ w)
        return value, np.append(x.T @ slope + PENALTY * w, slope.sum())

    result: NDArray[np.float64] = minimize(loss, np.zeros(SIZE + 1), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return result


if __name__ == "__main__":
    main()
