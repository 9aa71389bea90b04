"""A benchmark as Markdown: headlines, figure, tables, the machine, the command, and what is not claimed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from engine.benchmark import report_sections as sections
from engine.benchmark.results import SUITES, BenchmarkResults, Suite
from engine.benchmark.words import number, percent, seconds, signed, size, table
from engine.plain_text import markdown_cell

SECTIONS: dict[Suite, Callable[[Any], str]] = {
    "efficiency": sections.efficiency,
    "learning": sections.learning,
    "aggregation": sections.aggregation,
    "privacy": sections.privacy,
    "inference": sections.inference,
    "knowledge": sections.knowledge,
    "safety": sections.safety,
    "speed": sections.speed,
}

NOT_CLAIMED = """\
## What is not claimed

- A lower loss says that the model predicts these hospitals' answers better. It does not say that an answer is medically right.
- The centralised training is a reference that no federation of hospitals may run; it is not a competitor.
- Intervals are over seeds of training, on the same test pairs; they do not cover other hospitals, other pairs or larger models.
- "0 raw values" counts what crossed as values. An adapter can still carry traces of the pairs it was trained on: see
  `docs/faq.md` for what protects against that and what does not.
- Speeds are of this machine at that time. Figures of the reference model are counted, not measured, unless the run used it.
"""


def markdown(results: BenchmarkResults, figure: str) -> str:
    """The report; `figure` is the picture's file name."""
    parts = [f"# Benchmark of run {markdown_cell(results.run)}\n", _about(results)]
    headlines = list(_headlines(results))
    if headlines:
        parts.append("\n".join(f"- {line}" for line in headlines) + "\n")
    parts.append(f"![Six panels: efficiency, learning, arms, aggregation, inference, privacy]({figure})\n")
    for suite, title in SUITES.items():
        section = getattr(results, suite)
        if section is not None:
            parts.append(f"## {title}\n\n{SECTIONS[suite](section)}")
    if results.skipped:
        rows = [[suite, reason] for suite, reason in results.skipped.items()]
        parts.append(f"## Not measured\n\n{table(['suite', 'why'], rows)}")
    return "\n".join([*parts, _environment(results), NOT_CLAIMED])


def _about(results: BenchmarkResults) -> str:
    config = results.config
    adapter = f"LoRA rank {config.lora.rank} on {', '.join(config.lora.target_modules)}"
    lines = [
        f"{markdown_cell(f'{results.model}, {results.quantization}; {adapter}')}; "
        f"{results.rounds} of {config.training.rounds} rounds, "
        f"seed {config.seed}, data `{markdown_cell(config.data.folder)}`.",
        f"{'From the records of the run' if results.quick else 'Full benchmark'}, {_date(results.created)}.",
    ]
    if results.earlier:
        lines.append(f"What the records cannot tell was measured by the full benchmark `{results.earlier}`.")
    if results.rounds < config.training.rounds:
        lines.append("The run is not complete: its learning rate has not come down yet.")
    return "\n".join(lines) + "\n"


def _headlines(results: BenchmarkResults) -> Iterator[str]:
    """The figures people ask for first."""
    if results.learning and results.learning.test:
        test = results.learning.test
        base, shared = test.of("base").macro, test.of("federated").macro
        gain = f"{number(base)} → {number(shared)} ({signed((shared - base) / base)})"
        recovered = f"; {percent(test.recovered, 0)} of the centralised gain" if test.recovered is not None else ""
        yield f"**Test loss** per answer token, mean over hospitals: {gain}{recovered}."
    if results.efficiency:
        run, reference = results.efficiency.run, results.efficiency.reference
        yield (
            f"**Adapter** {size(run.adapter_bytes)} beside a base model of {size(run.loaded_bytes)} as loaded "
            f"({percent(run.reduction(run.loaded_bytes), 2)} less); reference {size(reference.adapter_bytes)}, "
            f"{percent(reference.reduction(results.efficiency.claimed_base_bytes))} less than 7 GB."
        )
    if results.privacy and results.privacy.raw_values_sent is not None:
        up, down = results.privacy.bytes_per_round("up"), results.privacy.bytes_per_round("down")
        yield (
            f"**Raw values sent** {results.privacy.raw_values_sent}; adapters up {size(up)} and down {size(down)} a round, "
            "all hospitals together."
        )
    if results.inference:
        warm = results.inference
        ratio = f", {warm.cold_ratio:.0f} times faster than from a cold start" if warm.cold_ratio else ""
        first, full = seconds(warm.warm_first_token_seconds.median), seconds(warm.warm_seconds.median)
        yield f"**Answer** first token after {first}, all {warm.tokens} after {full}{ratio}."
    if results.speed:
        share = results.speed.share_of_matrix_rate
        close = f", {percent(share, 0)} of the matrix-product rate" if share else ""
        yield f"**Training** {results.speed.tokens_per_second.median:,.0f} tokens/s{close}."


def _environment(results: BenchmarkResults) -> str:
    at = results.environment
    rows = [
        ["measured again by", f"`{results.command}`"],
        ["took", seconds(results.seconds)],
        ["machine", f"{at.processor}, {at.cores} cores, {size(at.memory_bytes)}{f', {at.gpu}' if at.gpu else ''}"],
        ["threads for tensors", str(at.threads or NO_TENSORS)],
        ["system", f"{at.system}, Python {at.python}"],
        ["fedmed-tui", at.program],
        ["libraries", ", ".join(f"{name} {version}" for name, version in at.packages.items())],
        ["base model", f"SHA-256 `{results.model_digest}`"],
        ["sections measured", ", ".join(f"{suite} {_date(when)}" for suite, when in results.measured.items()) or "none"],
    ]
    return f"## Where and how\n\n{table(['', ''], rows)}"


NO_TENSORS = "none were loaded"


def _date(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
