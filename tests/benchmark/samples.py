"""Made-up results, complete in every section, for what reads results."""

from __future__ import annotations

from msgspec.structs import replace

from engine.benchmark.results import (
    Aggregation,
    ArmLosses,
    BenchmarkResults,
    Efficiency,
    Environment,
    FreeText,
    FullRuns,
    HospitalPairs,
    Inference,
    Interval,
    Knowledge,
    Leak,
    Learning,
    ModelSizes,
    Overlap,
    Privacy,
    RoundLosses,
    RoundWeights,
    Safety,
    SafetyFigure,
    SameUpdates,
    Speed,
    Spread,
    TaskScore,
    TestComparison,
    Traffic,
)
from engine.settings import DEMO

RUN = ModelSizes(
    name="SmolLM2-135M-Instruct",
    parameters=134_515_008,
    trainable=460_800,
    stored_bytes=98_000_000,
    loaded_bytes=269_000_000,
    loaded_as="4-bit weights, bf16 compute",
    bytes_16_bit=269_030_016,
    adapter_bytes=1_843_200,
)
REFERENCE = ModelSizes(
    name="Mistral-7B-Instruct-v0.2",
    parameters=7_241_732_096,
    trainable=3_407_872,
    stored_bytes=14_483_464_192,
    loaded_bytes=4_125_237_248,
    loaded_as="NF4",
    bytes_16_bit=14_483_464_192,
    adapter_bytes=13_631_488,
)
ENVIRONMENT = Environment(
    program="0.1.0",
    system="Linux-6",
    processor="a processor",
    cores=2,
    threads=2,
    memory_bytes=2**34,
    gpu="",
    python="3.11.7",
    packages={"torch": "2.13.0"},
)


def results(run: str = "demo-1", **changes: object) -> BenchmarkResults:
    """A full benchmark of a made-up run of three rounds."""
    fields: dict[str, object] = {
        "run": run,
        "created": 1_764_000_000.0,
        "quick": False,
        "command": f"fedmed-tui benchmark --run {run}",
        "config": DEMO,
        "rounds": 3,
        "model": RUN.name,
        "model_digest": "ab" * 32,
        "quantization": RUN.loaded_as,
        "environment": ENVIRONMENT,
        "seconds": 600.0,
        "measured": {"efficiency": 1_764_000_001.0},
        "efficiency": efficiency(),
        "learning": learning(),
        "aggregation": aggregation(),
        "privacy": privacy(),
        "inference": inference(),
        "knowledge": knowledge(),
        "safety": Safety(figures=(SafetyFigure(name="harmful requests", sentences=266, noticed=243, dangerous=True),)),
        "speed": speed(),
    }
    return BenchmarkResults(**(fields | changes))  # type: ignore[arg-type]


def efficiency() -> Efficiency:
    return Efficiency(run=RUN, reference=REFERENCE, claimed_base_bytes=7 * 10**9)


def learning() -> Learning:
    losses = {"A": 2.6, "B": 2.4, "C": 2.5}
    return Learning(
        validation=tuple(
            RoundLosses(round=at, losses={name: loss - 0.1 * at for name, loss in losses.items()}, macro=2.5 - 0.1 * at)
            for at in range(4)
        ),
        test=TestComparison(
            arms=(
                ArmLosses(arm="base", losses=losses, macro=2.5, steps=0),
                ArmLosses(arm="local", losses={name: loss - 0.25 for name, loss in losses.items()}, macro=2.25, steps=90),
                ArmLosses(arm="federated", losses={name: loss - 0.3 for name, loss in losses.items()}, macro=2.2, steps=90),
                ArmLosses(arm="centralised", losses={name: loss - 0.4 for name, loss in losses.items()}, macro=2.1, steps=90),
            ),
            pairs={"A": 22, "B": 12, "C": 15},
            tokens={"A": 1900, "B": 1100, "C": 1300},
            recovered=0.75,
        ),
    )


def partly_evaluated() -> Learning:
    """B told no loss in round 1, and A none in the last."""
    section, absent = learning(), {1: "B", 3: "A"}
    rounds = (
        replace(at, losses={name: loss for name, loss in at.losses.items() if name != absent.get(at.round)})
        for at in section.validation
    )
    return replace(section, validation=tuple(rounds))


def aggregation() -> Aggregation:
    weights = {"A": 0.45, "B": 0.25, "C": 0.3}
    return Aggregation(
        weighting="agent",
        combine="exact",
        rounds=tuple(
            RoundWeights(round=at, weights=weights, scale=1.0, combine_error=0.08, reason="Kept sample weights.")
            for at in (1, 2, 3)
        ),
        same_updates=tuple(
            SameUpdates(weighting=name, weights=weights, scale=1.0, losses=weights, macro=2.2 + 0.01 * at, worst=2.4)
            for at, name in enumerate(("agent", "samples", "equal"))
        ),
        full_runs=tuple(
            FullRuns(
                weighting=name,
                macro=interval(2.2 + 0.01 * at),
                worst=interval(2.35 + 0.01 * at),
                gain=interval(0.004 * (1 - at)),
                weights=weights,
            )
            for at, name in enumerate(("agent", "samples", "equal"))
        ),
        seeds=(7, 8, 9),
    )


def privacy() -> Privacy:
    def rows(round_number: int) -> list[Traffic]:
        return [
            Traffic(round=round_number, hospital=name, direction=way, kind=kind, values=values, bytes=size)
            for name in ("A", "B", "C")
            for way in ("down", "up")
            for kind, values, size in (("adapter", 120, 1_843_200), ("name", 121, 8_000), ("number", 12, 96))
        ]

    return Privacy(
        pairs=tuple(
            HospitalPairs(hospital=name, train=count, validation=12, test=22)
            for name, count in (("A", 190), ("B", 105), ("C", 126))
        ),
        traffic=tuple(row for at in (1, 2, 3) for row in rows(at)),
        overlap=(Overlap(hospital="A", other="B", exact=1, near=2),),
        leaks=(Leak(hospital="A", held_out=34, own=0, others=1),),
    )


def inference() -> Inference:
    return Inference(
        tokens=48,
        cold_seconds=14.2,
        cold_first_token_seconds=13.1,
        warm_seconds=spread(0.9),
        warm_first_token_seconds=spread(0.06),
        tokens_per_second=spread(61.0),
        batch=4,
        batch_queries_per_second=2.9,
        single_queries_per_second=1.1,
        switch_seconds=spread(0.0021),
        memory_bytes=1_100_000_000,
        peak_memory_bytes=1_400_000_000,
    )


def knowledge() -> Knowledge:
    return Knowledge(
        choices=tuple(
            TaskScore(
                task=task, adapter=adapter, items=100, available=500, correct=31, low=0.23, high=0.41, chance=0.33, majority=0.55
            )
            for task in ("PubMedQA", "MMLU medical")
            for adapter in ("base", "global")
        ),
        free_text=tuple(
            FreeText(hospital=name, adapter="global", answers=12, tokens=96, rouge_l=0.21) for name in ("A", "B", "C")
        ),
        protocol="zero-shot",
    )


def speed() -> Speed:
    return Speed(
        tokens_per_second=spread(540.0),
        run_seconds=75.0,
        flops_per_token=5.0e8,
        measured_tokens_per_second=spread(530.0),
        matrix_flops=3.6e11,
    )


def spread(median: float) -> Spread:
    return Spread(median=median, low=0.9 * median, high=1.1 * median, repeats=5)


def interval(mean: float) -> Interval:
    return Interval(mean=mean, low=mean - 0.006, high=mean + 0.006, values=(mean - 0.002, mean, mean + 0.002))
