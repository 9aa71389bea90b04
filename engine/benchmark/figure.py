"""The benchmark in one figure: six panels, readable on A4 and on a slide, told apart without colour.

Colours are those of Okabe and Ito (2008), which people with any common colour vision deficiency can tell apart; bars carry their
numbers, lines their markers. Losses are dots, not bars: their axes do not begin at 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from engine.benchmark.results import Aggregation, BenchmarkResults, Interval
from engine.benchmark.words import number, percent, seconds, size

BLUE, ORANGE, GREEN, PURPLE, SKY, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C"
HOSPITALS = ((SKY, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (RED, "v"))
MOST = len(HOSPITALS)
"""Hospitals drawn one by one; of more, the first ones, or their mean alone."""
SIZE = (11.69, 8.27)
"""A4, landscape, in inches."""
MARGINS = {"left": 0.095, "right": 0.98, "top": 0.845, "bottom": 0.115, "wspace": 0.42, "hspace": 0.55}
NOTE_WIDTH = 50
"""Characters that fit above a panel."""
LEGEND_ROOM = 0.35
"""Room above the lines, as a share of their range."""
DPI = 200
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 30,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
    "text.parse_math": False,  # names of runs and hospitals are never formulas
}
BLANK: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
"""Behind a number that a line would cross."""
BYTE_TICKS = {2.0**10: "1 KiB", 2.0**20: "1 MiB", 2.0**30: "1 GiB", 2.0**40: "1 TiB"}
SECOND_TICKS = {1e-4: "0.1 ms", 1e-2: "10 ms", 1.0: "1 s", 100.0: "100 s"}


def draw(results: BenchmarkResults, path: Path) -> None:
    """Write the figure as PNG."""
    with rc_context(STYLE):
        figure = Figure(figsize=SIZE)
        axes = figure.subplots(2, 3, gridspec_kw=MARGINS)
        for panel, at in zip(PANELS, axes.flat, strict=True):
            panel(at, results)
        title = f"FED-MED benchmark   {_short(results.run, 40)}   {_short(results.model, 40)}, {results.quantization}"
        figure.suptitle(title, x=0.015, y=0.975, ha="left", fontsize=12)
        figure.savefig(path, dpi=DPI, metadata={"Software": None})


# --- panels --------------------------------------------------------------------------------------------------------------------


def _efficiency(at: Axes, results: BenchmarkResults) -> None:
    """What would travel without adapters, and what does."""
    at.set_title("1  What travels")
    section = results.efficiency
    if section is None:
        return _missing(at)
    reference, run = section.reference, section.run
    bars = [
        ("7B at 16 bits", reference.bytes_16_bit, GREY),
        ("7B in NF4", reference.loaded_bytes, GREY),
        ("7B adapter", reference.adapter_bytes, BLUE),
        ("this base", run.loaded_bytes, GREY),
        ("this adapter", run.adapter_bytes, BLUE),
    ]
    _log_bars(at, bars, size, BYTE_TICKS)
    less = percent(reference.reduction(section.claimed_base_bytes))
    return _note(at, f"7B adapter: {less} less than 7 GB, {percent(reference.trainable_share, 3)} trained")


def _learning(at: Axes, results: BenchmarkResults) -> None:
    """Validation loss by round."""
    at.set_title("2  Held-out loss by round")
    section = results.learning
    if section is None:
        return _missing(at)
    rounds = [one.round for one in section.validation]
    names = section.hospitals
    if len(names) <= MOST:
        for name, (colour, marker) in zip(names, HOSPITALS, strict=False):
            losses = [one.losses.get(name, math.nan) for one in section.validation]
            at.plot(rounds, losses, color=colour, marker=marker, markersize=5, linewidth=1.3, label=_short(name, 14))
    mean = [one.macro for one in section.validation]
    at.plot(rounds, mean, color="black", marker=".", linewidth=2.2, linestyle="--", label="mean of hospitals")
    at.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    at.set_xlabel("round (0: base model)")
    at.set_ylabel("nats per answer token")
    at.grid(visible=True)
    low, high = at.get_ylim()
    at.set_ylim(low, high + LEGEND_ROOM * (high - low))  # the legend covers no line
    at.legend(loc="upper right", ncols=2)
    return _note(at, "validation pairs; lower is better")


def _arms(at: Axes, results: BenchmarkResults) -> None:
    """Test loss of the four ways to train, as a distance from the base model."""
    at.set_title("3  Who learns from whom")
    if results.learning is None or results.learning.test is None:
        return _missing(at)
    test = results.learning.test
    looks = {
        "base": ("base model", GREY, GREY),
        "local": ("each alone", ORANGE, ORANGE),
        "federated": ("federated", BLUE, BLUE),
        "centralised": ("all pairs in\none place", "black", "white"),
    }
    base, arms = test.of("base").macro, test.arms[::-1]
    for row, arm in enumerate(arms):
        _, edge, inside = looks[arm.arm]
        at.plot([base, arm.macro], [row, row], color=edge, linewidth=2)
        at.plot(arm.macro, row, "o", markersize=9, markeredgecolor=edge, markerfacecolor=inside)
        at.text(arm.macro, row + 0.2, number(arm.macro), ha="center", va="bottom", fontsize=8, bbox=BLANK)
    at.axvline(base, color=GREY, linewidth=1, linestyle="--")
    at.set_yticks(range(len(arms)), [looks[arm.arm][0] for arm in arms])
    at.set_ylim(-0.5, len(arms) - 0.3)
    at.margins(x=0.18)
    at.xaxis.set_major_locator(MaxNLocator(nbins=5))
    at.set_xlabel("test loss, nats per answer token")
    recovered = "" if test.recovered is None else f"; {percent(test.recovered, 0)} of the centralised gain"
    return _note(at, f"{sum(test.pairs.values())} test pairs{recovered}")


def _aggregation(at: Axes, results: BenchmarkResults) -> None:
    """The most telling of what there is: complete runs, the same updates, or the run's weights."""
    at.set_title("4  Aggregation")
    section = results.aggregation
    if section is None:
        return _missing(at)
    if section.full_runs:
        return _full_runs(at, section)
    if section.same_updates:
        ranked = sorted(section.same_updates, key=lambda one: one.macro, reverse=True)
        at.plot([one.macro for one in ranked], [one.weighting for one in ranked], "o", color=BLUE)
        at.xaxis.set_major_locator(MaxNLocator(nbins=4))
        at.set_xlabel("test loss, nats per answer token")
        return _note(at, "every weighting on the run's last updates")
    return _weights(at, section)


def _full_runs(at: Axes, section: Aggregation) -> None:
    runs = sorted(section.full_runs, key=lambda one: one.macro.mean, reverse=True)
    rows = range(len(runs))
    mean, worst = (
        at.errorbar([one.mean for one in found], rows, xerr=[_half(one) for one in found], fmt=marker, color=colour, capsize=4)
        for found, marker, colour in (([one.macro for one in runs], "o", BLUE), ([one.worst for one in runs], "D", ORANGE))
    )
    at.set_yticks(rows, [one.weighting for one in runs])
    at.set_ylim(-0.6, len(runs) - 0.4)
    at.xaxis.set_major_locator(MaxNLocator(nbins=4))
    at.set_xlabel("test loss, nats per answer token")
    at.legend([mean, worst], ["mean of hospitals", "worst hospital"], loc="upper center", bbox_to_anchor=(0.45, -0.16), ncols=2)
    return _note(at, f"complete runs, {len(section.seeds)} seeds, 95 % interval")


def _half(interval: Interval) -> float:
    """Half the width of an interval; 0 where it has no bounds."""
    return 0.0 if interval.low is None else interval.mean - interval.low


def _weights(at: Axes, section: Aggregation) -> None:
    names, bottom = section.hospitals, [0.0] * len(section.rounds)
    rounds = [one.round for one in section.rounds]
    for index, name in enumerate(names):
        weights = [one.weights.get(name, 0.0) for one in section.rounds]
        colour, label = HOSPITALS[index % MOST][0], _short(name, 14) if len(names) <= MOST else None
        at.bar(rounds, weights, bottom=bottom, color=colour, edgecolor="white", label=label, width=0.62)
        if len(names) <= MOST and len(rounds) <= MOST:
            for place, low, weight in zip(rounds, bottom, weights, strict=True):
                at.text(place, low + weight / 2, f"{weight:.2f}", ha="center", va="center", fontsize=8)
        bottom = [low + weight for low, weight in zip(bottom, weights, strict=True)]
    at.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    at.set_xlabel("round")
    at.set_ylabel("weight")
    if len(names) <= MOST:
        at.legend(loc="upper center", bbox_to_anchor=(0.45, -0.16), ncols=5)
    return _note(at, f"weights of this run: {section.weighting}")


def _inference(at: Axes, results: BenchmarkResults) -> None:
    """Waiting times."""
    at.set_title("5  Answering")
    section = results.inference
    if section is None:
        return _missing(at)
    bars = [
        ("cold question", section.cold_seconds, GREY),
        ("loaded engine", section.warm_seconds.median, BLUE),
        ("first token", section.warm_first_token_seconds.median, BLUE),
        ("adapter switch", section.switch_seconds.median, BLUE),
    ]
    _log_bars(at, [(name, value, colour) for name, value, colour in bars if value is not None], seconds, SECOND_TICKS)
    rate = f"{section.tokens_per_second.median:.0f} tokens/s; {size(section.memory_bytes)}"
    return _note(at, f"{rate}; {section.batch} at once: {section.batch_queries_per_second:.2f} questions/s")


def _privacy(at: Axes, results: BenchmarkResults) -> None:
    """Pairs that stayed as bars, and what crossed in words."""
    at.set_title("6  What stays, what leaves")
    section = results.privacy
    if section is None:
        return _missing(at)
    pairs = section.pairs[:MOST]
    totals = [one.train + one.validation + one.test for one in pairs]
    bars = at.bar(range(len(pairs)), totals, color=GREEN, width=0.5)
    at.set_xticks(range(len(pairs)), [_short(one.hospital, 36 // len(pairs)) for one in pairs])
    at.bar_label(bars, [f"{total:,}" for total in totals], fontsize=8)
    at.set_ylabel("pairs, none of which left")
    more = len(section.pairs) - MOST
    lines = [f"and {more} hospitals more"] if more > 0 else []
    if section.raw_values_sent is not None:
        up, down = section.bytes_per_round("up"), section.bytes_per_round("down")
        lines += [f"raw values sent: {section.raw_values_sent}", f"adapters a round: {size(up)} up", f"  and {size(down)} down"]
    if section.overlap is not None:
        exact, near = sum(one.exact for one in section.overlap), sum(one.near for one in section.overlap)
        lines.append(f"duplicates: {exact} exact, {near} near")
    at.set_ylim(0, (1.15 + 0.17 * len(lines)) * max(totals))
    at.text(0.04, 0.97, "\n".join(lines), transform=at.transAxes, va="top", fontsize=9, linespacing=1.4)
    return None


PANELS: tuple[Callable[[Axes, BenchmarkResults], None], ...] = (_efficiency, _learning, _arms, _aggregation, _inference, _privacy)


# --- parts ---------------------------------------------------------------------------------------------------------------------


def _note(at: Axes, text: str) -> None:
    """One or two small lines between the title and the panel."""
    look: dict[str, Any] = {"fontsize": 8, "color": "#444444", "va": "top", "linespacing": 1.2}
    at.annotate(fill(text, NOTE_WIDTH), (0, 1), (0, 26), xycoords="axes fraction", textcoords="offset points", **look)


def _missing(at: Axes) -> None:
    at.set_axis_off()
    at.text(0.5, 0.5, "not measured", transform=at.transAxes, ha="center", color="#666666")


def _log_bars(at: Axes, bars: Sequence[tuple[str, float, str]], words: Callable[[float], str], ticks: dict[float, str]) -> None:
    """Bars from top to bottom on a logarithmic axis, each with its number."""
    names, values, colours = zip(*reversed(bars), strict=True)
    at.barh(names, values, color=colours, height=0.62)
    at.set_xscale("log")
    low, high = min(values) / 5, 8 * max(values) * (max(values) / min(values)) ** 0.45
    at.set_xlim(low, high)
    for row, value in enumerate(values):
        at.text(value * 1.25, row, words(value), va="center", fontsize=8)
    inside = [place for place in ticks if low <= place <= high]
    at.xaxis.set_major_locator(FixedLocator(inside))
    at.xaxis.set_minor_locator(NullLocator())
    at.set_xticklabels([ticks[place] for place in inside])
    at.set_xlabel("logarithmic")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
