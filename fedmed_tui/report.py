"""A run as a Markdown report: tables a colleague can read, and what each number is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.plain_text import markdown_cell
from fedmed_tui.state import RoundState, RunState
from fedmed_tui.units import duration, size

UNKNOWN = "–"

NOTES = """\
## What the numbers are

- **Validation loss**: mean negative log-likelihood in nats per answer token, on pairs the hospital does not train on.
  Lower is better.
- **Training loss**: the same on the pairs a hospital trains on, averaged over the steps of the round. It is no measure of
  quality.
- **Mean**: every hospital counts the same, whatever its size.
- **Update**: what a hospital sends in a round: its adapter's tensors, counts and losses, never a pair.

A lower loss says that the model predicts these hospitals' answers better. It does not say that an answer is medically right.
"""


def markdown(state: RunState) -> str:
    """The report of a run that has started."""
    parts = [f"# Run {markdown_cell(state.run)}\n", _summary(state), _hospitals(state)]
    rounds = [at for number, at in sorted(state.rounds.items()) if number > 0]
    if state.macro_series():
        parts.append(f"## Validation loss\n\n{_losses(state)}")
    if any(at.aggregated for at in rounds):
        parts.append(f"## Weights\n\n{_weights(state, rounds)}")
    if any(values.update for at in rounds for values in at.hospitals.values()):
        parts.append(f"## Local training\n\n{_training(rounds)}")
    return "\n".join([*parts, NOTES])


def _summary(state: RunState) -> str:
    facts = [f"- Rounds: {state.completed} of {state.total_rounds}, {state.finished.outcome if state.finished else 'running'}."]
    if state.model:
        model = state.model
        held = f"{model.name}, {model.quantization}, on {model.device}; SHA-256 {model.digest}"
        facts.append(f"- Base model: {markdown_cell(held)}.")
        facts.append(
            f"- Adapter: {model.trainable:,} trainable parameters of {model.parameters:,}, {size(model.adapter_bytes)}; "
            f"the base takes {size(model.base_bytes)} as loaded."
        )
    if state.config:
        config = state.config
        facts.append(
            f"- Seed {config.seed}, weighting `{config.aggregation.weighting}`, data `{markdown_cell(config.data.folder)}`."
        )
    if state.finished:
        facts.append(f"- Time in rounds: {duration(state.finished.seconds)}.")
    return "\n".join(facts) + "\n"


def _hospitals(state: RunState) -> str:
    rows = (
        [hospital.name, f"{hospital.train:,}", f"{hospital.validation:,}", f"{hospital.test:,}"] for hospital in state.hospitals
    )
    return f"## Hospitals\n\n{_table(['hospital', 'training pairs', 'validation pairs', 'test pairs'], rows)}"


def _losses(state: RunState) -> str:
    names = [hospital.name for hospital in state.hospitals]
    series = [state.loss_series(name) for name in names]
    rows = (
        [f"{number}" if number else "base model", *(_number(one[number], 4) for one in series), _number(mean, 4)]
        for number, mean in state.macro_series().items()
    )
    return _table(["round", *names, "mean"], rows)


def _weights(state: RunState, rounds: Sequence[RoundState]) -> str:
    names = [hospital.name for hospital in state.hospitals]
    rows = []
    for at in rounds:
        weights = {name: values.weight.weight for name, values in at.hospitals.items() if values.weight}
        if at.aggregated:
            rows.append([str(at.number), *(_number(weights.get(name), 3) for name in names), at.aggregated.reason])
    return _table(["round", *names, "reason"], rows)


def _training(rounds: Sequence[RoundState]) -> str:
    rows = [
        [
            str(at.number),
            name,
            str(values.update.steps),
            _number(values.update.loss, 4),
            _number(values.local_loss, 4),
            f"{values.update.tokens:,}",
            duration(values.update.seconds),
            size(values.update.bytes),
        ]
        for at in rounds
        for name, values in sorted(at.hospitals.items())
        if values.update
    ]
    header = ["round", "hospital", "steps", "training loss", "own adapter's validation loss", "tokens", "time", "update"]
    return _table(header, rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---:" if name != "reason" else "---" for name in header], *rows]
    return "\n".join("| " + " | ".join(markdown_cell(text) for text in line) + " |" for line in lines) + "\n"


def _number(value: float | None, decimals: int) -> str:
    return UNKNOWN if value is None else f"{value:.{decimals}f}"
