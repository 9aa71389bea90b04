"""Recall and precision of the overlap check on planted pairs of known similarity, found across hospitals by keyed hashes alone.

    python -m benchmarks.overlap [--seeds 5]

500 originals of hospital A have an edited copy at hospital B whose exact Jaccard similarity is spread evenly over 0.8 to 1.0; 500
more have one between 0.5 and 0.8, which must not be found; each hospital also holds 1,000 pairs that nobody copied.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence

import numpy as np

from engine.data.overlap import neighbours
from engine.data.pairs import Pair
from engine.data.sketch import Sketches, sketch
from tests.data.planted import Planted, bystanders, plant

THRESHOLD = 0.8
COUNT = 500
BYSTANDERS = 1000
BANDS = ((0.5, 0.6), (0.6, 0.7), (0.7, 0.75), (0.75, 0.8), (0.8, 0.85), (0.85, 0.9), (0.9, 1.01))


def found_links(originals: Sequence[Pair], copies: Sequence[Pair], salt: str) -> set[tuple[str, str]]:
    """Pairs of ids (one of each hospital) that a coordinator, seeing sketches only, reports as near duplicates."""
    *_, first = sketch("A", originals, salt)
    *_, second = sketch("B", copies, salt)
    assert isinstance(first, Sketches) and isinstance(second, Sketches)
    signatures = np.concatenate([first.signatures, second.signatures])
    links = set()
    for item in neighbours(signatures, THRESHOLD):
        if isinstance(item, tuple) and item[0] < len(originals):
            at, near = item
            links |= {(originals[at].id, copies[row - len(originals)].id) for row, _ in near if row >= len(originals)}
    return links


def run(seed: int) -> tuple[list[Planted], set[tuple[str, str]]]:
    """One planted corpus and what was found in it."""
    planted = [*plant(COUNT, THRESHOLD, 1.0, seed), *plant(COUNT, 0.5, THRESHOLD - 0.02, seed + 1)]
    originals = [one.original for one in planted] + bystanders(BYSTANDERS, "A", seed + 2)
    copies = [one.copy for one in planted] + bystanders(BYSTANDERS, "B", seed + 3)
    return planted, found_links(originals, copies, salt=f"salt {seed}")


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="corpora to average over")
    started, planted, links = time.monotonic(), [], set()
    for seed in range(parser.parse_args().seeds):
        more, found = run(10 * seed)
        planted += more
        links |= found
    is_found = {one.original.id: (one.original.id, one.copy.id) in links for one in planted}
    true = [one for one in planted if one.similarity >= THRESHOLD]
    hits = sum(is_found[one.original.id] for one in true)
    print(f"{len(true):,} copies at similarity {THRESHOLD} or more, {len(planted) - len(true):,} below")
    print(f"{len(links):,} links reported")
    print(f"recall    {hits / len(true):.4f}")
    print(f"precision {hits / len(links):.4f}")
    for low, high in BANDS:
        band = [one for one in planted if low <= one.similarity < high]
        share = sum(is_found[one.original.id] for one in band) / len(band)
        print(f"  similarity {low:.2f} to {min(high, 1.0):.2f}: {len(band):5,} pairs, reported {share:6.1%}")
    print(f"{time.monotonic() - started:.0f} s, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
