"""The configuration of a run: one typed, validated value, from a preset, a TOML file and command-line flags.

Later sources win: preset < TOML file < flags. Sections are tables in the TOML file:

    preset = "demo"
    seed = 7
    [training]
    rounds = 5
    learning_rate = 1e-3

This module imports no tensor library, so that both processes can use it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from engine import toml
from engine.errors import SettingsError

Quantization = Literal["auto", "nf4", "none"]
Device = Literal["auto", "cpu", "cuda"]
Weighting = Literal[
    "agent",
    "samples",
    "equal",
    "inverse_loss",
    "loss_variance",
    "fedlaw",
    "median",
    "trimmed_mean",
    "krum",
    "geometric_median",
]
CombineRule = Literal["exact", "factors", "stacked", "frozen_a", "alternate"]
ServerOptimizer = Literal["fedavg", "fedavgm", "fedadam", "fedyogi"]
Objective = Literal["fedavg", "fedprox", "scaffold"]
Trust = Literal["hospitals", "coordinator", "fixed"]
"""What each of these names means is told in `engine.choices`."""

PositiveInt = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0.0, lt=1.0)]


class ModelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which base model, and how its weights are held."""

    source: Annotated[str, Meta(min_length=1)] = "auto"
    """`auto` (Mistral-7B-Instruct-v0.2 on CUDA, else the bundled SmolLM2), `bundled`, a model folder, or a hub id."""
    quantization: Quantization = "auto"
    """`auto` is NF4 on CUDA and expanded 4-bit weights (fp32) on a CPU; `nf4` and `none` hold everywhere."""
    device: Device = "auto"
    """`auto` takes CUDA when there is a usable card."""


class LoraSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The adapter's shape (LoRA, Hu et al. 2021)."""

    rank: Annotated[int, Meta(ge=1, le=256)] = 8
    alpha: Annotated[float, Meta(gt=0)] = 16.0
    """Scale of the update: the adapter adds (alpha / rank) · B·A."""
    dropout: Fraction = 0.05
    target_modules: Annotated[tuple[str, ...], Meta(min_length=1)] = ("q_proj", "v_proj")
    hospital_ranks: dict[str, Annotated[int, Meta(ge=1, le=256)]] = {}
    """Ranks of hospitals that train a smaller adapter than `rank`, by name; needs `exact` or `stacked`."""


class TrainingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Local training at each hospital. Lengths are in tokens, batches in pairs."""

    rounds: Annotated[int, Meta(ge=1, le=10_000)] = 3
    local_steps: Annotated[int, Meta(ge=0)] = 0
    """Optimizer steps per hospital and round; 0 is one pass over the training pairs."""
    batch_size: PositiveInt = 4
    """Pairs in one micro-step (one forward and backward pass)."""
    gradient_accumulation: PositiveInt = 1
    """Micro-steps in one optimizer step."""
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 1e-3
    warmup_fraction: Fraction = 0.05
    """Share of the whole run's steps over which the learning rate rises from 0; then a cosine to 0."""
    weight_decay: Annotated[float, Meta(ge=0)] = 0.0
    gradient_clip: Annotated[float, Meta(gt=0)] = 1.0
    """Largest L2 norm of the gradient."""
    max_tokens: Annotated[int, Meta(ge=16, le=8192)] = 256
    """A longer pair is cut at its end."""
    objective: Objective = "fedavg"
    """What a hospital minimises: its own loss, or that with a correction for drifting away from the others."""
    proximal: Annotated[float, Meta(ge=0, le=10)] = 0.01
    """Weight mu of fedprox: mu / 2 times the squared distance from the round's start is added to the loss."""


class DataSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the partitions are and how much of them is used."""

    folder: str = "sample"
    """`sample` (the project's own corpus), or a folder with one partition per hospital."""
    hospitals: tuple[str, ...] = ()
    """Hospitals that take part; empty means every hospital found in the folder."""
    max_pairs: Annotated[int, Meta(ge=0)] = 0
    """Training pairs used per hospital; 0 is all."""
    validation_pairs: PositiveInt = 64
    """Validation pairs per hospital that each evaluation reads."""


class AggregationSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much each hospital's update counts, and how updates become one adapter."""

    weighting: Weighting = "agent"
    combine: CombineRule = "exact"
    scale: Annotated[float, Meta(gt=0, le=10)] = 1.0
    """Server step size: the weights are multiplied by it; what is missing to 1 (or too much) is the round's start adapter."""
    stacked_rank: Annotated[int, Meta(ge=1, le=1024)] = 32
    """Largest rank of the global adapter under `stacked`."""
    norm_clip: Annotated[float, Meta(ge=0)] = 0.0
    """An update longer than this many median lengths is shortened to it; 0 never."""
    server_optimizer: ServerOptimizer = "fedavg"
    server_learning_rate: Annotated[float, Meta(ge=0)] = 0.0
    """Of fedavgm, fedadam and fedyogi; 0 takes the usual one: 1 for fedavgm, 0.01 for the other two."""
    trust: Trust = "hospitals"
    """Who evaluates candidates for `agent` and `fedlaw`."""
    public_data: str = ""
    """Folder with the coordinator's public validation pairs, as one partition; for `trust = "coordinator"` only."""
    evaluation_share: Annotated[float, Meta(ge=0, le=10)] = 0.25
    """Work that judging candidates may take, as a share of the round's training work."""
    narrator: bool = False
    """Let the base model retell the agent's reasons. It never decides anything."""


class FederationSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the hospitals are, and when a round goes on without one."""

    name: str = ""
    """Federation to run on; empty is this computer, with every hospital in one process."""
    participation: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """Part of the hospitals that trains in a round, drawn anew for each round by the run's seed; rounded up. The others rest."""
    quorum: Annotated[int, Meta(ge=0)] = 0
    """Hospitals that a round needs; with fewer the run pauses and can be resumed. 0 is two thirds of those asked, rounded up."""
    deadline_s: Annotated[float, Meta(ge=0)] = 0.0
    """Seconds of work after which a hospital is left out of the round; 0 is no limit."""

    def asked(self, hospitals: int) -> int:
        """How many of so many hospitals train in a round: never fewer than the quorum that was set."""
        part = math.ceil(round(self.participation * hospitals, 6))  # 0.07 · 100 is a little more than 7
        return max(1, part, min(self.quorum, hospitals))

    def needed(self, hospitals: int) -> int:
        """The quorum of so many hospitals that are asked."""
        return min(self.quorum, hospitals) or -(-2 * hospitals // 3)


class RunConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides the outcome of a run. Same config, same machine, same thread count: same bits."""

    preset: str = ""
    """The preset this started from, for the record."""
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 7
    model: ModelSettings = ModelSettings()
    lora: LoraSettings = LoraSettings()
    training: TrainingSettings = TrainingSettings()
    data: DataSettings = DataSettings()
    aggregation: AggregationSettings = AggregationSettings()
    federation: FederationSettings = FederationSettings()

    def require_here(self, run: str) -> None:
        """Raise SettingsError when the run's hospitals are not in this process: their pairs cannot be read here."""
        if self.federation.name:
            raise SettingsError(
                f"its hospitals are in the federation {self.federation.name}, and their pairs on their own machines.",
                where=run,
                hint="A quick benchmark needs no pairs; for the rest, take a run of this computer.",
            )


DEMO = RunConfig(
    preset="demo",
    training=TrainingSettings(rounds=3, local_steps=10, batch_size=4, learning_rate=2e-3),
    data=DataSettings(validation_pairs=16),
    aggregation=AggregationSettings(evaluation_share=1.0),  # with 40 pairs a round, a quarter would judge on a pair or two
)
REFERENCE = RunConfig(
    preset="reference",
    model=ModelSettings(source="mistralai/Mistral-7B-Instruct-v0.2", quantization="nf4", device="cuda"),
    training=TrainingSettings(rounds=3, batch_size=4, gradient_accumulation=4, learning_rate=2e-4, max_tokens=512),
    data=DataSettings(folder="data/processed"),
)
PRESETS = {"demo": DEMO, "reference": REFERENCE}


def preset(name: str) -> RunConfig:
    """The preset called `name`. Raises SettingsError when there is none."""
    if name not in PRESETS:
        raise SettingsError(f"there is no preset '{name}'.", where="preset", hint=f"Choose one of: {', '.join(PRESETS)}.")
    return PRESETS[name]


def load_config(path: Path | None = None, *, preset_name: str = "", overrides: dict[str, Any] | None = None) -> RunConfig:
    """Build the configuration from preset < TOML file < overrides.

    Args:
        path: a TOML file, or None.
        preset_name: wins over the file's `preset` key; `demo` when neither names one.
        overrides: dotted names to values, e.g. `{"training.rounds": 2}`.

    Raises:
        SettingsError: file missing or malformed, unknown setting, wrong type or range; names file and setting.
    """
    table = _read_toml(path) if path else {}
    name = preset_name or str(table.get("preset", "")) or "demo"
    merged = _merge(msgspec.to_builtins(preset(name)), table)
    merged["preset"] = name
    for dotted, value in (overrides or {}).items():
        _set_dotted(merged, dotted, value)
    return validated(merged, where=str(path) if path else "")


def validated(table: dict[str, Any], *, where: str) -> RunConfig:
    """Turn plain tables into a RunConfig. Raises SettingsError naming the setting and what it should be."""
    try:
        config = msgspec.convert(table, RunConfig, strict=False)
    except msgspec.ValidationError as error:
        raise _in_words(str(error), where) from None
    _check_across_fields(config, where)
    return config


_PLAIN_WORDS = {
    "Object contains unknown field": "there is no setting",
    "Invalid enum value": "not one of its choices:",
    "`object`": "a section",
    "`array`": "a list",
    "`str`": "text",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
}


def _in_words(complaint: str, where: str) -> SettingsError:
    """msgspec's complaint (`Expected `int` >= 1 - at `$.training.rounds``) as what is wrong at which setting."""
    what, _, path = complaint.partition(" - at `$.")
    for theirs, ours in _PLAIN_WORDS.items():
        what = what.replace(theirs, ours)
    place = ": ".join(part for part in (where, path.rstrip("`")) if part)
    return SettingsError(f"{what[:1].lower()}{what[1:]}.", where=place, hint="`fedmed-tui settings` lists every setting.")


def _check_across_fields(config: RunConfig, where: str) -> None:
    if len(set(config.data.hospitals)) != len(config.data.hospitals):
        raise SettingsError("a hospital is named twice in data.hospitals.", where=where, hint="Name each once.")
    for complaint in (*_infinite(config), *contradictions(config)):
        raise complaint


def _infinite(config: RunConfig) -> Iterator[SettingsError]:
    """Numbers that are none: `inf` and `nan` are TOML, but no JSON, in which a configuration travels and is kept."""
    for section, values in msgspec.to_builtins(config).items():
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, float) and not math.isfinite(value):
                yield SettingsError(f"{value} is no finite number.", where=f"{section}.{name}", hint="Give a number.")


def contradictions(config: RunConfig) -> Iterator[SettingsError]:
    """Settings that contradict each other. `exact` and `stacked` turn the basis of A and B every round."""
    rules, turns = config.aggregation, config.aggregation.combine in ("exact", "stacked")
    same_basis = "Set aggregation.combine to factors, frozen_a or alternate."
    if rules.server_optimizer != "fedavg" and turns:
        what = f"{rules.server_optimizer} remembers A and B, whose basis '{rules.combine}' turns every round."
        yield SettingsError(what, where="aggregation.server_optimizer", hint=same_basis)
    if config.training.objective == "scaffold" and turns:
        what = f"scaffold remembers gradients of A and B, whose basis '{rules.combine}' turns every round."
        yield SettingsError(what, where="training.objective", hint=same_basis)
    if config.lora.hospital_ranks and not turns:
        what = f"'{rules.combine}' cannot combine adapters of different ranks."
        yield SettingsError(what, where="lora.hospital_ranks", hint="Set aggregation.combine to exact or stacked.")
    if config.lora.hospital_ranks and rules.weighting in ("median", "trimmed_mean"):
        what = f"{rules.weighting} compares number by number, which adapters of different ranks do not allow."
        yield SettingsError(what, where="aggregation.weighting", hint="Choose another weighting.")
    if rules.norm_clip and rules.weighting in ("median", "trimmed_mean"):
        what = f"{rules.weighting} takes the middle number by number: no update counts as a whole, so none can be shortened."
        yield SettingsError(what, where="aggregation.norm_clip", hint="Set it to 0, or choose another weighting.")
    if any(rank > config.lora.rank for rank in config.lora.hospital_ranks.values()):
        yield SettingsError(f"a hospital's rank is above lora.rank, {config.lora.rank}.", where="lora.hospital_ranks")
    if rules.trust == "coordinator" and not rules.public_data:
        yield SettingsError(
            "the coordinator has no public pairs to evaluate on.",
            where="aggregation.public_data",
            hint="Name a folder with one partition, or let the hospitals evaluate.",
        )
    if rules.weighting == "fedlaw" and rules.trust == "fixed":
        yield SettingsError(
            "fedlaw learns its weights from evaluations.", where="aggregation.trust", hint="Choose who evaluates."
        )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return toml.read(path)
    except FileNotFoundError:
        raise SettingsError("no such settings file.", where=str(path), hint="Check the path after --config.") from None
    except IsADirectoryError:
        raise SettingsError("is a folder, not a settings file.", where=str(path), hint="Name a .toml file.") from None
    except UnicodeDecodeError:
        raise SettingsError("is not UTF-8 text.", where=str(path), hint="Save it as UTF-8.") from None
    except ValueError as error:
        raise SettingsError(f"is not valid TOML: {error}.", where=str(path), hint="Mend that line.") from None
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}.", where=str(path), hint="Check its permissions.") from None


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, table by table."""
    merged = dict(base)
    for key, value in over.items():
        both_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both_tables else value
    return merged


def _set_dotted(table: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        child = table.setdefault(section, {})
        if not isinstance(child, dict):
            raise SettingsError(f"'{section}' is not a section.", where=dotted, hint="`fedmed-tui settings` lists all.")
        table = child
    table[key] = value
