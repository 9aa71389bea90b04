"""A run written out: what an engine says during a small, made-up training. Shared by the tests and the fake engine."""

from __future__ import annotations

from collections.abc import Iterator

from decisions import aggregated

from engine.protocol import (
    AnyEvent,
    EngineReady,
    Evaluated,
    Guarded,
    HospitalInfo,
    HospitalWeight,
    ModelLoaded,
    PairExample,
    PartitionDescribed,
    Resources,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunStarted,
    Stamped,
    StepDone,
    TrainingStarted,
    UpdateReceived,
)
from engine.settings import DEMO, RunConfig

START = 1_764_000_000.0
"""Unix time of the first event."""
RUN = "demo-20251124-160000"
PAIRS = {"A": 171, "B": 93, "C": 112}
BASE = {"A": 2.912, "B": 2.744, "C": 3.105}
WEIGHTS = {1: (0.45, 0.25, 0.30), 2: (0.45, 0.37, 0.18), 3: (0.47, 0.41, 0.12)}
STEPS = 10

READY = EngineReady(protocol=1, pid=4242, version="0.1.0", log="/tmp/engine.log")
MODEL = ModelLoaded(
    name="SmolLM2-135M-Instruct",
    source="bundled",
    digest="0" * 64,
    quantization="4-bit weights, fp32 compute",
    device="cpu",
    threads=1,
    parameters=134_515_008,
    trainable=460_800,
    base_bytes=538_060_032,
    adapter_bytes=1_843_200,
    seconds=2.1,
)


def partition(hospital: str, job: str = "data-1", *, text: str = "What does a raised creatinine mean?") -> PartitionDescribed:
    """One hospital's partition; `text` stands in every place that holds text from the data."""
    train = PAIRS.get(hospital, 100)
    example = PairExample(question=text, answer=f"{text} It is explained here in a sentence or two.", topic=text, split="train")
    return PartitionDescribed(
        job=job,
        hospital=hospital,
        folder="sample",
        train=train,
        validation=train // 6,
        test=train // 6,
        topics=train // 4,
        answer_words=61,
        kinds={"overview": 40, "treatment": 31, "diagnosis": 22, "prevention": 9},
        top_topics={text: 6, "kidney stones": 5, "asthma": 4, "epilepsy": 4},
        examples=(example,) * 3,
        tokens=train * 130,
        answer_lengths=(0, 0, 0, 1, 2, 4, *(train // part for part in (16, 9, 6, 5, 6, 9, 16)), 4, 2, 1),
    )


def run_events(
    run: str = RUN, config: RunConfig = DEMO, *, hospitals: tuple[str, ...] = ("A", "B", "C"), completed: int = 0
) -> Iterator[AnyEvent]:
    """A whole run, from its start to its end; it goes on after `completed` rounds."""
    rounds = config.training.rounds
    infos = tuple(HospitalInfo(name=name, train=PAIRS.get(name, 100), validation=28, test=28) for name in hospitals)
    yield RunStarted(run=run, config=config, hospitals=infos, completed=completed)
    if not completed:
        yield RoundStarted(round=0, rounds=rounds)
        for name in hospitals:
            yield Evaluated(round=0, hospital=name, stage="base", loss=_loss(name, 0), pairs=16, tokens=900)
    for round in range(completed + 1, rounds + 1):
        yield from _round(round, rounds, infos)
    yield RunFinished(run=run, outcome="done", completed=rounds, rounds=rounds, folder=f"output-models/{run}", seconds=180.0)


def _round(round: int, rounds: int, infos: tuple[HospitalInfo, ...]) -> Iterator[AnyEvent]:
    yield RoundStarted(round=round, rounds=rounds)
    for info in infos:
        yield from _training(round, info)
    shares = WEIGHTS.get(round, WEIGHTS[3]) if len(infos) == 3 else (1 / len(infos),) * len(infos)
    total = sum(info.train for info in infos)
    weights = tuple(
        HospitalWeight(hospital=info.name, pairs=info.train, sample_share=info.train / total, weight=share)
        for info, share in zip(infos, shares, strict=True)
    )
    reason = f"{infos[-1].name} counts less than its share of the pairs: with its update the validation loss elsewhere rose."
    yield aggregated(round, weights, reason)
    for info in infos:
        yield Evaluated(round=round, hospital=info.name, stage="global", loss=_loss(info.name, round), pairs=16, tokens=900)
    before, after = (sum(_loss(info.name, at) for info in infos) / len(infos) for at in (round - 1, round))
    yield RoundFinished(round=round, rounds=rounds, before=before, after=after, seconds=58.0 + round)


def _training(round: int, info: HospitalInfo) -> Iterator[AnyEvent]:
    name = info.name
    yield TrainingStarted(round=round, hospital=name, steps=STEPS)
    for step in range(1, STEPS + 1):
        loss = _loss(name, round) - 0.02 * step
        yield StepDone(round=round, hospital=name, step=step, steps=STEPS, loss=loss, tokens=420 * step, seconds=1.7 * step)
    yield UpdateReceived(
        round=round,
        hospital=name,
        pairs=info.train,
        steps=STEPS,
        loss=_loss(name, round) - 0.11,
        variance=0.02,
        bytes=1_843_200,
        tokens=4200,
        seconds=17.0,
    )
    yield Evaluated(round=round, hospital=name, stage="local", loss=_loss(name, round) + 0.01, pairs=16, tokens=900)


def _loss(hospital: str, round: int) -> float:
    return BASE.get(hospital, 2.9) - 0.35 * (1 - 0.5**round)


def emergency(job: str, message: str = "Call the emergency number now.") -> Guarded:
    """What the guardrails say to a question that tells of a collapse."""
    return Guarded(
        job=job,
        layer="triage",
        rule="collapse",
        title="Collapse",
        reason="Every minute counts.",
        source="ERC Guidelines 2021",
        action="answered",
        message=message,
        matched="collapsed",
    )


def stamped(events: Iterator[AnyEvent] | list[AnyEvent], *, seconds: float = 2.0) -> list[Stamped]:
    """The events with their numbers and times, `seconds` apart."""
    return [Stamped(seq=seq, time=START + seconds * seq, event=event) for seq, event in enumerate(events, start=1)]


def session_events(until: int | None = None, *, hospitals: tuple[str, ...] = ("A", "B", "C")) -> list[Stamped]:
    """What a screen hears from its start: engine, data, model, then the first `until` events of the run (all by default)."""
    run = list(run_events(hospitals=hospitals))
    start: list[AnyEvent] = [READY, *(partition(name) for name in hospitals), MODEL, Resources(memory_bytes=1_180_000_000)]
    return stamped([*start, *run[:until]])
