"""Result lines as Markdown tables: mean and 95 % interval over seeds, gap to the best rule, paired gains."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

Line = dict[str, Any]


def read(files: Iterable[Path]) -> list[Line]:
    """All result lines."""
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def render(files: Sequence[Path], seeds: Sequence[int]) -> str:
    """Every table there is data for."""
    lines = [line for line in read(files) if line["seed"] in seeds]
    arms = list(dict.fromkeys(line["arm"] for line in lines))
    scenarios = list(dict.fromkeys(line["scenario"] for line in lines))
    table = {
        (s, a): {line["seed"]: line for line in lines if line["scenario"] == s and line["arm"] == a}
        for s in scenarios
        for a in arms
    }
    parts = [f"Seeds {min(seeds)}–{max(seeds)}, {len({line['seed'] for line in lines})} of them. Mean ± half a 95 % t interval."]
    parts.append("Macro test loss:\n" + _losses(table, scenarios, arms, "macro"))
    parts.append("Worst honest hospital's test loss:\n" + _losses(table, scenarios, arms, "worst"))
    for rival in ("samples", "equal"):
        if "agent" in arms and rival in arms:
            parts.append(f"The agent's relative gain over `{rival}`, paired:\n" + _gains(table, scenarios, rival))
    if "agent" in arms:
        parts.append("What the agent did:\n" + _deeds(table, scenarios))
    return "\n\n".join(parts)


def _losses(table: dict[tuple[str, str], dict[int, Line]], scenarios: Sequence[str], arms: Sequence[str], field: str) -> str:
    """A row per arm, its largest gap to the best arm of a scenario last."""
    means = {key: fmean(line[field] for line in by_seed.values()) for key, by_seed in table.items() if by_seed}
    best = {s: min(means[s, a] for a in arms if (s, a) in means) for s in scenarios}
    rows = [("weighting", *scenarios, "largest gap")]
    for arm in arms:
        cells = []
        for scenario in scenarios:
            values = [line[field] for line in table[scenario, arm].values()]
            mark = "**" if values and means[scenario, arm] == best[scenario] else ""
            cells.append(f"{mark}{interval(values)}{mark}" if values else "–")
        gaps = [means[s, arm] - best[s] for s in scenarios if (s, arm) in means]
        rows.append((arm, *cells, f"{max(gaps):.3f}"))
    return markdown(rows)


def _gains(table: dict[tuple[str, str], dict[int, Line]], scenarios: Sequence[str], rival: str) -> str:
    rows = [("scenario", "macro", "worst honest hospital", "seeds won")]
    for scenario in scenarios:
        ours, theirs = table[scenario, "agent"], table[scenario, rival]
        seeds = sorted(ours.keys() & theirs.keys())
        if not seeds:
            continue
        gains = {f: [100 * (1 - ours[s][f] / theirs[s][f]) for s in seeds] for f in ("macro", "worst")}
        won = sum(gain > 0 for gain in gains["macro"])
        rows.append((scenario, *(f"{interval(gains[f], digits=2)} %" for f in ("macro", "worst")), f"{won} of {len(seeds)}"))
    return markdown(rows)


def _deeds(table: dict[tuple[str, str], dict[int, Line]], scenarios: Sequence[str]) -> str:
    rows = [("scenario", "rounds", "chosen", "bad hospital caught", "good hospitals caught", "judging work, share of training")]
    for scenario in scenarios:
        lines = list(table[scenario, "agent"].values())
        if not lines:
            continue
        rounds = sum(len(line["verdicts"]) for line in lines)
        chosen = sum(line["verdicts"].count("chosen") for line in lines)
        caught = sum(line["bad"] in names for line in lines for names in line["flagged"] if line["bad"])
        wrong = sum(name != line["bad"] for line in lines for names in line["flagged"] for name in names)
        share = fmean([share for line in lines for share in line["shares"]] or [0.0])
        bad = f"{caught} of {rounds}" if lines and lines[0]["bad"] else "–"
        rows.append((scenario, str(rounds), str(chosen), bad, str(wrong), f"{share:.0%}"))
    return markdown(rows)


def interval(values: Sequence[float], digits: int = 3) -> str:
    """Mean ± half the 95 % interval; the mean alone from a single value."""
    mean = f"{fmean(values):.{digits}f}"
    if len(values) < 2:
        return mean
    half = student.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return f"{mean} ± {half:.{digits}f}"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table, its first row the heading."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])
