"""The tables of a benchmark report, one function a section."""

from __future__ import annotations

import math

from engine.benchmark.results import (
    ARMS,
    Aggregation,
    Efficiency,
    Inference,
    Knowledge,
    Learning,
    ModelSizes,
    Privacy,
    Safety,
    Speed,
    TestComparison,
)
from engine.benchmark.words import NONE, interval, number, percent, seconds, signed, size, spread, spread_seconds, table


def efficiency(section: Efficiency) -> str:
    """Sizes, of the run and of the reference."""
    run, reference, claimed = section.run, section.reference, section.claimed_base_bytes

    def line(name: str, figure: str, other: str) -> list[str]:
        return [name, figure, other]

    def sizes(of: ModelSizes) -> list[str]:
        return [
            f"{of.parameters:,}",
            f"{of.trainable:,} ({percent(of.trainable_share, 3)})",
            size(of.adapter_bytes),
            size(of.stored_bytes) if of.stored_bytes else NONE,
            f"{size(of.loaded_bytes)} ({of.loaded_as})",
            size(of.bytes_16_bit),
            percent(of.reduction(of.loaded_bytes), 2),
            percent(of.reduction(of.bytes_16_bit), 2),
        ]

    names = [
        "weights of the base model",
        "trained weights",
        "adapter, fp32",
        "base model on disk",
        "base model as loaded",
        "base model at 16 bits",
        "adapter instead of the base as loaded",
        "adapter instead of the base at 16 bits",
    ]
    rows = [line(*three) for three in zip(names, sizes(run), sizes(reference), strict=True)]
    rows.append(["adapter instead of 7 GB, the showcase's figure", NONE, percent(reference.reduction(claimed), 2)])
    note = "The reference is counted from the model's shapes, without its weights (meta device).\n"
    return f"{table(['', run.name, f'reference: {reference.name}'], rows)}\n{note}"


def learning(section: Learning) -> str:
    """Validation loss by round, and the arms on test pairs."""
    names = section.hospitals
    rows = [
        [f"{at.round}" if at.round else "base", *(_loss(at.losses.get(name)) for name in names), _loss(at.macro)]
        for at in section.validation
    ]
    text = "Validation loss of the global adapter, nats per answer token (lower is better), with its perplexity:\n\n"
    text += table(["round", *names, "mean"], rows)
    own = [[f"{at.round}", *(_loss(at.own.get(name)) for name in names)] for at in section.validation if at.own]
    if own:
        text += "\nOf each hospital's own adapter of the round, at home, before it was combined:\n\n"
        text += table(["round", *names], own)
    if section.test is None:
        return text + "\nThe comparison on test pairs needs the full benchmark.\n"
    return f"{text}\n{_arms(section.test)}"


def _loss(loss: float | None) -> str:
    """`3.7612 (43.0)`: a loss and its perplexity."""
    return NONE if loss is None else f"{number(loss, 4)} ({number(math.exp(loss), 1)})"


def _arms(test: TestComparison) -> str:
    names = list(test.pairs)
    base = test.of("base").macro
    rows = [
        [
            ARMS[arm.arm],
            *(_loss(arm.losses.get(name)) for name in names),
            _loss(arm.macro),
            signed((arm.macro - base) / base),
            f"{arm.steps:,}" if arm.steps else NONE,
        ]
        for arm in test.arms
    ]
    pairs = ", ".join(f"{name} {test.pairs[name]} pairs ({test.tokens[name]:,} answer tokens)" for name in names)
    text = f"Loss (perplexity) on TEST pairs, which no training and no choice has seen: {pairs}.\n\n"
    text += table(["", *names, "mean", "against base", "steps"], rows)
    if test.recovered is not None:
        text += f"\nFederation recovers {percent(test.recovered, 0)} of what training on all pairs in one place gains.\n"
    text += (
        "\nOne seed each: differences as small as the intervals of complete runs may be chance. In one place all steps follow\n"
        "each other; hospitals take theirs side by side, and meet once a round.\n"
    )
    return text


def aggregation(section: Aggregation) -> str:
    """Weights by round, every weighting on the last updates, some on complete runs."""
    names = section.hospitals
    rows = [
        [str(at.round), *(number(at.weights.get(name), 3) for name in names), number(at.scale, 2), percent(at.combine_error)]
        for at in section.rounds
    ]
    text = f"Weights of the run (`{section.weighting}`, combined by `{section.combine}`):\n\n"
    text += table(["round", *names, "step size", "combine error"], rows)
    if section.same_updates:
        ranked = sorted(section.same_updates, key=lambda one: one.macro)
        rows = [
            [one.weighting, number(one.macro, 4), number(one.worst, 4), number(one.scale, 2)]
            + [number(one.weights.get(name), 3) for name in names]
            for one in ranked
        ]
        text += "\nEvery weighting on the run's last updates, test loss of the result:\n\n"
        text += table(["weighting", "mean", "worst hospital", "step size", *names], rows)
    if section.left_out:
        text += "\nNot compared, as the run's settings forbid them:\n\n"
        text += table(["weighting", "why"], [[*one] for one in section.left_out.items()])
    if section.full_runs:
        text += f"\n{_full_runs(section, names)}"
    return text


def _full_runs(section: Aggregation, names: list[str]) -> str:
    rows = [
        [one.weighting, interval(one.macro, 4), interval(one.worst, 4), _gain(one.gain.mean, one.gain.low, one.gain.high)]
        + [number(one.weights.get(name), 3) for name in names]
        for one in sorted(section.full_runs, key=lambda one: one.macro.mean)
    ]
    seeds = ", ".join(str(seed) for seed in section.seeds)
    text = (
        f"Complete runs, {len(section.seeds)} seeds ({seeds}): mean and 95 % t interval of the test loss. The gain is paired.\n\n"
    )
    return text + table(["weighting", "mean", "worst hospital", "gain over samples", *(f"{name}, last" for name in names)], rows)


def _gain(mean: float, low: float | None, high: float | None) -> str:
    bounds = "" if low is None or high is None else f" [{signed(low, 2)}, {signed(high, 2)}]"
    return f"{signed(mean, 2)}{bounds}"


def privacy(section: Privacy) -> str:
    """Pairs that stayed, what crossed, what hospitals have in common."""
    rows = [[one.hospital, f"{one.train:,}", f"{one.validation:,}", f"{one.test:,}"] for one in section.pairs]
    text = "Pairs, none of which left its hospital:\n\n" + table(["hospital", "train", "validation", "test"], rows)
    if section.traffic:
        kinds = sorted({(one.direction, one.kind) for one in section.traffic}, reverse=True)
        rows = []
        for direction, kind in kinds:
            found = [one for one in section.traffic if (one.direction, one.kind) == (direction, kind)]
            way = "hospital → coordinator" if direction == "up" else "coordinator → hospital"
            rows.append([f"{way}, {kind}", f"{sum(one.values for one in found):,}", size(sum(one.bytes for one in found))])
        text += "\nEverything that crossed, by the ledger:\n\n" + table(["", "values", "bytes"], rows)
        text += f"\nValues that were text, or that the ledger could not name: {section.raw_values_sent}.\n"
    else:
        text += "\nThe run kept no ledger.\n"
    if section.overlap is not None:
        rows = [[f"{one.hospital} also at {one.other}", str(one.exact), str(one.near)] for one in section.overlap]
        text += f"\nDuplicates, exact and near (similarity from {section.overlap_threshold:g}), by keyed hashes:\n\n"
        text += table(["", "exact", "near"], rows or [["none", "0", "0"]])
    for leak in section.leaks or ():
        if leak.own or leak.others:
            text += (
                f"\n{leak.own + leak.others} of {leak.held_out} held-out pairs of {leak.hospital} have a duplicate among "
                f"training pairs ({leak.own} its own): they flatter its held-out loss.\n"
            )
    return text


def inference(section: Inference) -> str:
    """Waiting times, rates, memory."""
    rows = [
        ["cold: start, load, answer in full", seconds(section.cold_seconds)],
        ["cold: to the first token", seconds(section.cold_first_token_seconds)],
        ["loaded engine: answer in full", spread_seconds(section.warm_seconds)],
        ["loaded engine: to the first token", spread_seconds(section.warm_first_token_seconds)],
        ["cold / loaded", NONE if section.cold_ratio is None else f"{section.cold_ratio:.1f} times"],
        ["decoding, tokens/s", spread(section.tokens_per_second)],
        [f"{section.batch} questions at once, questions/s", number(section.batch_queries_per_second, 2)],
        ["the same one after the other, questions/s", number(section.single_queries_per_second, 2)],
        ["switch to another adapter", spread_seconds(section.switch_seconds)],
        ["memory now / most since the engine began", f"{size(section.memory_bytes)} / {size(section.peak_memory_bytes)}"],
    ]
    if section.gpu_peak_bytes:
        rows.append(["memory of the card now / most", f"{size(section.gpu_bytes)} / {size(section.gpu_peak_bytes)}"])
    return f"Answers of {section.tokens} tokens, greedy, shared adapter.\n\n{table(['', ''], rows)}"


def knowledge(section: Knowledge) -> str:
    """Multiple choice beside chance, and ROUGE-L."""
    text = ""
    if section.choices:
        rows = [
            [
                f"{one.task}, {one.adapter}",
                f"{one.correct} of {one.items}",
                percent(one.accuracy),
                f"[{percent(one.low)}, {percent(one.high)}]",
                percent(one.chance),
                percent(one.majority),
            ]
            for one in section.choices
        ]
        header = ["", "right", "accuracy", "95 % interval", "chance", "most frequent answer"]
        text += f"Multiple choice: {section.protocol}.\n\n{table(header, rows)}\n"
        text += (
            "Knowledge is shown only where the whole interval lies above chance and above the most frequent answer's share. A\n"
            "model of 135 M parameters is expected near chance. The protocol is what a 7 B model needs.\n"
        )
    if section.free_text:
        rows = [[f"{one.hospital}, {one.adapter}", str(one.answers), number(one.rouge_l, 3)] for one in section.free_text]
        most = section.free_text[0].tokens
        text += f"\nROUGE-L F1 of greedy answers (at most {most} tokens) against the reference answers:\n\n"
        text += table(["", "answers", "ROUGE-L"], rows)
    return text


def safety(section: Safety) -> str:
    """What the guardrails notice."""
    rows = [
        [
            one.name,
            f"{one.noticed} of {one.sentences}",
            percent(one.noticed / one.sentences),
            "high" if one.dangerous else "low",
        ]
        for one in section.figures
    ]
    return table(["sentences", "noticed", "share", "should be"], rows)


def speed(section: Speed) -> str:
    """Training speed, and how close to the processor's rate."""
    rows = [
        ["tokens/s of the run's local trainings", spread(section.tokens_per_second, 0)],
        ["time in rounds", seconds(section.run_seconds)],
    ]
    if section.measured_tokens_per_second is not None and section.flops_per_token and section.matrix_flops:
        rows += [
            ["tokens/s, again, in turns with matrix products", spread(section.measured_tokens_per_second, 0)],
            ["MFLOPs of matrix products a token", number(section.flops_per_token / 1e6, 0)],
            ["matrix products alone, GFLOP/s", number(section.matrix_flops / 1e9, 0)],
            ["share of that rate that training reaches", percent(section.share_of_matrix_rate)],
        ]
    return table(["", ""], rows)
