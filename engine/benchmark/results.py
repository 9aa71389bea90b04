"""What a benchmark finds out: one section a suite, as typed values that both processes read. No tensor library here.

A section is None until its suite has run. Losses are mean negative log-likelihood in nats per answer token, times are seconds,
sizes are bytes. `benchmark_results.json` is `BenchmarkResults` as JSON; `benchmarks/README.md` describes it for other programs.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.messages import Count, Moment, Round, Share
from engine.settings import RunConfig

SCHEMA = 1

Suite = Literal["efficiency", "learning", "aggregation", "privacy", "inference", "knowledge", "safety", "speed"]
SUITES: dict[Suite, str] = {
    "efficiency": "Sizes of base model and adapter",
    "learning": "Held-out loss: base, local-only, centralised, federated",
    "aggregation": "Weightings on the same updates and on full runs",
    "privacy": "What crossed between hospitals and coordinator",
    "inference": "Cold and warm answers, tokens per second, memory",
    "knowledge": "Medical multiple choice, and ROUGE-L of free answers",
    "safety": "What the chat's guardrails catch",
    "speed": "Training speed against the processor's matrix products",
}
"""Every suite with its title, in the order in which they run."""
QUICK: tuple[Suite, ...] = ("efficiency", "learning", "aggregation", "privacy", "speed")
"""Suites that need no model: the run's records answer them."""


class Spread(Struct, frozen=True, kw_only=True):
    """A figure measured several times: median, smallest, largest."""

    median: float
    low: float
    high: float
    repeats: int


class Interval(Struct, frozen=True, kw_only=True):
    """A mean over seeds with its 95 % t interval; the bounds are None with fewer than two seeds."""

    mean: float
    low: float | None
    high: float | None
    values: tuple[float, ...]
    """One per seed, in the order of the section's seeds."""


class Environment(Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    program: str
    """Version of fedmed-tui."""
    system: str
    processor: str
    cores: int
    threads: int
    """Used for tensors."""
    memory_bytes: int
    gpu: str
    """Empty when there is none."""
    python: str
    packages: dict[str, str]


# --- efficiency ----------------------------------------------------------------------------------------------------------------


class ModelSizes(Struct, frozen=True, kw_only=True):
    """One base model with one adapter."""

    name: str
    parameters: int
    trainable: int
    stored_bytes: int | None
    """As it lies on disk; None when that is not known here."""
    loaded_bytes: int
    """In memory, as loaded. For the reference: NF4 with double quantization, decoder matrices alone."""
    loaded_as: str
    bytes_16_bit: int
    """What the base model takes at 16 bits a weight."""
    adapter_bytes: int

    @property
    def trainable_share(self) -> float:
        """Adapter weights per base weight."""
        return self.trainable / self.parameters if self.parameters else 0.0

    def reduction(self, against: int) -> float:
        """What is saved by sending the adapter instead of `against` bytes: 0.998 is 99.8 %."""
        return 1 - self.adapter_bytes / against if against else 0.0


class Efficiency(Struct, frozen=True, kw_only=True):
    """What travels and what is trained. The reference is counted from a model without weights (torch's meta device)."""

    run: ModelSizes
    reference: ModelSizes
    claimed_base_bytes: int
    """The size that the showcase compares with: "7 GB"."""


# --- learning ------------------------------------------------------------------------------------------------------------------

Arm = Literal["base", "local", "federated", "centralised"]
ARMS: dict[Arm, str] = {
    "base": "The base model, untrained",
    "local": "Each hospital alone: its own adapter on its own test pairs",
    "federated": "The shared adapter of this run",
    "centralised": "All pairs in one place: an upper reference, not an option",
}


class RoundLosses(Struct, frozen=True, kw_only=True):
    """Validation loss of the global adapter after a round; round 0 is the base model."""

    round: Round
    losses: dict[str, float]
    """By hospital, of those who were evaluated: a hospital may keep its losses to itself, or be lost."""
    macro: float
    """Mean over them."""
    own: dict[str, float] = {}
    """By hospital, of the adapter that it trained in the round, at home, before it was combined."""


class ArmLosses(Struct, frozen=True, kw_only=True):
    """One way to train, on the TEST pairs, which no training or choice has seen."""

    arm: Arm
    losses: dict[str, float]
    macro: float
    steps: int
    """Optimizer steps in all; of all hospitals together where each trains."""


class TestComparison(Struct, frozen=True, kw_only=True):
    """Base, local-only, centralised and federated on the same test pairs."""

    arms: tuple[ArmLosses, ...]
    pairs: dict[str, int]
    """Test pairs by hospital."""
    tokens: dict[str, int]
    """Answer tokens in them."""
    recovered: float | None
    """(base − federated) / (base − centralised), of the macro means; None when the centralised one gained nothing."""

    def of(self, arm: Arm) -> ArmLosses:
        """The losses of one arm."""
        return next(one for one in self.arms if one.arm == arm)


class Learning(Struct, frozen=True, kw_only=True):
    """How much better the held-out answers are predicted."""

    validation: tuple[RoundLosses, ...]
    """By round, from the run's record."""
    test: TestComparison | None
    """Measured by the full benchmark alone."""

    @property
    def hospitals(self) -> list[str]:
        """Everybody who was evaluated in any round."""
        return sorted({name for at in self.validation for name in at.losses})

    @property
    def change(self) -> float | None:
        """Relative change of the mean validation loss from first to last round: -0.1 is 10 % lower.

        Of the hospitals evaluated in both, so that nobody's absence looks like progress; None when there is none.
        """
        first, last = self.validation[0].losses, self.validation[-1].losses
        both = first.keys() & last.keys()
        before = sum(first[name] for name in both)
        return (sum(last[name] for name in both) - before) / before if before else None


# --- aggregation ---------------------------------------------------------------------------------------------------------------


class RoundWeights(Struct, frozen=True, kw_only=True):
    """Who counted how much in a round of the run, from its record."""

    round: Round
    weights: dict[str, Share]
    scale: Share
    combine_error: float
    reason: str


class SameUpdates(Struct, frozen=True, kw_only=True):
    """What one weighting would have made of the run's last updates. Test loss of the resulting adapter."""

    weighting: str
    weights: dict[str, float]
    scale: float
    losses: dict[str, float]
    macro: float
    worst: float
    """Of the hospital with the highest loss."""


class FullRuns(Struct, frozen=True, kw_only=True):
    """One weighting over complete runs, seed by seed. Test loss of the final adapter."""

    weighting: str
    macro: Interval
    worst: Interval
    gain: Interval
    """Relative fall of the macro loss against `samples` with the same seed: 0.01 is 1 % lower. Paired."""
    weights: dict[str, float]
    """Mean over seeds of the last round's weights; a hospital that rested in it counts 0."""


class Aggregation(Struct, frozen=True, kw_only=True):
    """How much the choice of weights matters on held-out TEST pairs."""

    weighting: str
    """The run's own."""
    combine: str
    rounds: tuple[RoundWeights, ...]
    same_updates: tuple[SameUpdates, ...] = ()
    full_runs: tuple[FullRuns, ...] = ()
    seeds: tuple[int, ...] = ()
    """Of `full_runs`."""
    left_out: dict[str, str] = {}
    """Weightings that the run's other settings forbid, each with the reason; neither comparison has them."""

    @property
    def hospitals(self) -> list[str]:
        """Everybody who counted in any round: one that was left out of the last one is among them."""
        return sorted({name for one in self.rounds for name in one.weights})


# --- privacy -------------------------------------------------------------------------------------------------------------------

Direction = Literal["up", "down"]
Kind = Literal["adapter", "number", "name", "text", "unknown"]
"""What a value is that crossed between a hospital and the coordinator. `text` and `unknown` must not occur."""


class Traffic(Struct, frozen=True, kw_only=True):
    """Values of one kind that one hospital sent (`up`) or was sent (`down`) in a round. Round 0 is the base evaluation."""

    round: Round
    hospital: str
    direction: Direction
    kind: Kind
    values: Count
    """Tensors for `adapter`, else single values."""
    bytes: Count


class HospitalPairs(Struct, frozen=True, kw_only=True):
    """Pairs by split; they stay where they are."""

    hospital: str
    train: int
    validation: int
    test: int


class Overlap(Struct, frozen=True, kw_only=True):
    """Pairs of `hospital` that `other` has too; within one hospital when both are the same."""

    hospital: str
    other: str
    exact: int
    near: int


class Leak(Struct, frozen=True, kw_only=True):
    """Held-out pairs with a duplicate among training pairs: they flatter the held-out loss."""

    hospital: str
    held_out: int
    own: int
    others: int


class Privacy(Struct, frozen=True, kw_only=True):
    """What left the hospitals."""

    pairs: tuple[HospitalPairs, ...]
    traffic: tuple[Traffic, ...]
    """Every byte that crossed, by round, hospital, direction and kind; empty when the run kept no ledger."""
    overlap: tuple[Overlap, ...] | None = None
    """Only pairs of hospitals that have something in common; None when it was not counted."""
    leaks: tuple[Leak, ...] | None = None
    overlap_threshold: float = 0.8

    @property
    def raw_values_sent(self) -> int | None:
        """Values that were text, or that the ledger could not name; None without a ledger."""
        return sum(one.values for one in self.traffic if one.kind in ("text", "unknown")) if self.traffic else None

    def bytes_per_round(self, direction: Direction, kind: Kind = "adapter") -> float:
        """Mean over training rounds of what all hospitals together sent or were sent."""
        rows = [one for one in self.traffic if one.round > 0 and one.direction == direction and one.kind == kind]
        rounds = {one.round for one in self.traffic if one.round > 0}
        return sum(one.bytes for one in rows) / len(rounds) if rounds else 0.0


# --- inference -----------------------------------------------------------------------------------------------------------------


class Inference(Struct, frozen=True, kw_only=True):
    """How long an answer takes. Greedy, the same questions and lengths throughout."""

    tokens: int
    """Length of every answer."""
    cold_seconds: float | None
    """A new engine process: start, load, answer one question, in full. None when a second engine could not be started."""
    cold_first_token_seconds: float | None
    warm_seconds: Spread
    """The same question to the loaded engine, in full."""
    warm_first_token_seconds: Spread
    tokens_per_second: Spread
    batch: int
    """Questions answered at once."""
    batch_queries_per_second: float
    single_queries_per_second: float
    """The same questions one after the other."""
    switch_seconds: Spread
    """From one adapter to another, both in memory."""
    memory_bytes: int
    """Of the engine process, after answering."""
    peak_memory_bytes: int
    gpu_bytes: int = 0
    gpu_peak_bytes: int = 0

    @property
    def cold_ratio(self) -> float | None:
        """How many times longer a cold question takes."""
        return None if self.cold_seconds is None else self.cold_seconds / self.warm_seconds.median


# --- knowledge, safety, speed --------------------------------------------------------------------------------------------------


class TaskScore(Struct, frozen=True, kw_only=True):
    """Multiple choice by answer log-likelihood, zero-shot, as lm-evaluation-harness scores it."""

    task: str
    adapter: str
    """`base` or `global`."""
    items: int
    available: int
    """Items that the data set has; fewer are used when a cap was given."""
    correct: int
    low: float
    high: float
    """95 % Wilson interval of the accuracy."""
    chance: float
    """Accuracy of a guess."""
    majority: float
    """Accuracy of always giving the most frequent answer of these items."""

    @property
    def accuracy(self) -> float:
        """Share of right picks."""
        return self.correct / self.items


class FreeText(Struct, frozen=True, kw_only=True):
    """ROUGE-L F1 of greedy answers to test questions against the reference answers."""

    hospital: str
    adapter: str
    answers: int
    tokens: int
    """Most tokens an answer may have."""
    rouge_l: float


class Knowledge(Struct, frozen=True, kw_only=True):
    """What the model knows of medicine. A model of 135 M parameters is near chance."""

    choices: tuple[TaskScore, ...]
    free_text: tuple[FreeText, ...]
    protocol: str


class SafetyFigure(Struct, frozen=True, kw_only=True):
    """One set of sentences, and how many of them the chat's guardrails noticed (triage or refusal)."""

    name: str
    sentences: int
    noticed: int
    dangerous: bool
    """Whether they should be noticed."""


class Safety(Struct, frozen=True, kw_only=True):
    """What the guardrails notice: it should be much of the dangerous sets and little of the ordinary ones."""

    figures: tuple[SafetyFigure, ...]


class Speed(Struct, frozen=True, kw_only=True):
    """How fast the run trained, and how close that is to what the processor can do."""

    tokens_per_second: Spread
    """Of the run's local trainings, padding included, from its record; the first round is left out when there is another."""
    run_seconds: float
    """Time in rounds."""
    flops_per_token: float | None = None
    """Of the model's matrix products, forward and backward, per training token."""
    measured_tokens_per_second: Spread | None = None
    """The same training step, again, in the benchmark's process."""
    matrix_flops: float | None = None
    """Floating point operations a second that the same process reaches on this model's matrix shapes alone."""

    @property
    def share_of_matrix_rate(self) -> float | None:
        """How much of the matrix-product rate training reaches."""
        if self.measured_tokens_per_second is None or self.flops_per_token is None or self.matrix_flops is None:
            return None
        return self.measured_tokens_per_second.median * self.flops_per_token / self.matrix_flops


class BenchmarkResults(Struct, frozen=True, kw_only=True):
    """Everything that was found out about one run."""

    run: str
    created: Moment
    """Unix time at which the benchmark began."""
    quick: bool
    """From the run's records, without loading a model."""
    command: str
    """The command line that measures the same again."""
    config: RunConfig
    """The run's settings."""
    rounds: Round
    """Rounds that were done."""
    model: str
    model_digest: str
    quantization: str
    environment: Environment
    schema: int = SCHEMA
    seconds: float = 0.0
    """What the benchmark took."""
    measured: dict[str, Moment] = {}
    """By suite, the Unix time at which it was measured."""
    earlier: str = ""
    """Quick results are completed with what only a full benchmark measures: the folder of the one that it is taken from."""
    skipped: dict[str, str] = {}
    """Suites that could not run, with the reason."""
    efficiency: Efficiency | None = None
    learning: Learning | None = None
    aggregation: Aggregation | None = None
    privacy: Privacy | None = None
    inference: Inference | None = None
    knowledge: Knowledge | None = None
    safety: Safety | None = None
    speed: Speed | None = None
