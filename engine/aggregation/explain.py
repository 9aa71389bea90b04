"""Why the weights are what they are, in sentences built from the `Aggregated` event alone. Fixed templates; no model sets a word.

Each sentence names the fields it was made from, so that a reader can check it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.aggregation_messages import Aggregated, Candidate, HospitalWeight, Reason
from engine.choices import WEIGHTINGS

NOTABLE = 0.02
"""Change of a share worth a sentence."""
NOTABLE_SCALE = 0.02
"""Distance of the step size from 1 worth a sentence."""
NOTABLE_ERROR = 0.005
"""Relative combine error worth a sentence."""


def explain(event: Aggregated) -> tuple[Reason, ...]:
    """The sentences, most important first."""
    return (*_conclusion(event), *_faults(event), *_changes(event), *_step(event), *_cost(event))


def _conclusion(event: Aggregated) -> Iterator[Reason]:
    """What was decided."""
    if event.verdict == "rule":
        yield Reason(text=WEIGHTINGS[event.weighting], fields=("weighting",))
    elif event.verdict == "fixed":
        text = "Sample weights: with fixed weights nobody evaluates, so nothing better can be found and no bad update noticed."
        yield Reason(text=text, fields=("verdict", "trust"))
    elif event.verdict == "thin":
        pairs = sum(one.test_pairs or one.screen_pairs for one in event.slices if one.voted)
        voters = sum(one.voted for one in event.slices)
        text = f"Kept sample weights: {_count(pairs, 'validation pair')} of {_count(voters, 'voter')} are too few to tell."
        yield Reason(text=text, fields=("verdict", "slices"))
    elif event.verdict == "kept":
        yield from _kept(event)
    else:
        yield from _chosen(event)


def _kept(event: Aggregated) -> Iterator[Reason]:
    """How the best candidate did that was not good enough."""
    tested = [(one.gain, one) for one in event.candidates if one.gain is not None]
    gain, best = max(tested, key=lambda pair: pair[0])
    moved, verdict = ("gained", "not distinguishable from chance") if gain > 0 else ("lost", "so none is better")
    text = (
        f"Kept sample weights: the best alternative tested, “{best.name}”, {moved} {_percent(abs(gain))} "
        f"± {_percent(best.error or 0.0)}, {verdict}."
    )
    yield Reason(text=text, fields=("verdict", *_fields_of(event, best)))


def _chosen(event: Aggregated) -> Iterator[Reason]:
    """What the chosen candidate gained, and how far the weights went."""
    for one in event.candidates:
        if one.chosen:
            pairs = sum(use.test_pairs for use in event.slices if use.voted)
            text = (
                f"The candidate “{one.name}” lowered the loss of fresh validation pairs by {_percent(one.gain or 0.0)} "
                f"± {_percent(one.error or 0.0)} against sample weights ({_count(pairs, 'pair')} this round): "
                f"the weights went {_share(event.shrink)} of the way to it."
            )
            yield Reason(text=text, fields=("verdict", "shrink", "slices", *_fields_of(event, one)))


def _faults(event: Aggregated) -> Iterator[Reason]:
    """Hospitals that do not count this round, or have no vote."""
    silent = {use.voter for use in event.slices if not use.voted}
    for one in event.weights:
        where = f"weights[{one.hospital}]"
        fields: tuple[str, ...] = (f"{where}.standing", f"{where}.suspect_rounds")
        if one.standing == "gated":
            yield Reason(text=f"{one.hospital} does not count: {one.why}.{_again(one)}", fields=(*fields, f"{where}.why"))
        elif one.standing == "suspect":
            use, used = _use(event, one.hospital)
            text = f"{one.hospital} neither counts nor votes this round instead of counting {_share(one.sample_share)}: {use}."
            yield Reason(text=text + _again(one), fields=(*fields, *used))
        elif one.hospital in silent and event.round - 1 in one.suspect_rounds:
            text = f"{one.hospital} counts again, but has no vote yet: in the last round it did not count."
            yield Reason(text=text, fields=(*fields, "slices"))


def _changes(event: Aggregated) -> Iterator[Reason]:
    """Hospitals whose share moved, the largest move first."""
    if event.verdict == "rule":
        return
    moved = [one for one in event.weights if one.standing == "counted" and abs(one.weight - one.sample_share) >= NOTABLE]
    for one in sorted(moved, key=lambda one: (-abs(one.weight - one.sample_share), one.hospital)):
        use, fields = _use(event, one.hospital)
        text = f"{one.hospital} counts {_share(one.weight)} instead of {_share(one.sample_share)}."
        text += f" {use[0].upper()}{use[1:]}." if use else ""
        where = f"weights[{one.hospital}]"
        yield Reason(text=text, fields=(f"{where}.weight", f"{where}.sample_share", *fields))


def _step(event: Aggregated) -> Iterator[Reason]:
    """Step size and combine error."""
    if abs(event.scale - 1) >= NOTABLE_SCALE:
        longer = "longer" if event.scale > 1 else "shorter"
        yield Reason(
            text=f"The step is {event.scale:.2f} times the average of the updates, {longer} than usual.", fields=("scale",)
        )
    if event.combine_error >= NOTABLE_ERROR:
        text = f"The combine rule “{event.combine}” missed {_percent(event.combine_error)} of the exact weighted adapter."
        yield Reason(text=text, fields=("combine", "combine_error"))


def _cost(event: Aggregated) -> Iterator[Reason]:
    if event.cost is not None and event.cost.work:
        text = f"Judging took {_share(event.cost.share)} of the training work (limit {_share(event.cost.limit)})."
        yield Reason(text=text, fields=("cost.work", "cost.training_work", "cost.limit"))


def _use(event: Aggregated, hospital: str) -> tuple[str, tuple[str, ...]]:
    """What the hospital's update alone did to the others' validation loss, and where that is recorded."""
    others = [one for one in event.transfer if one.hospital == hospital and one.voter != hospital]
    parts: list[str] = []
    for verb, group in (
        ("raised", [one for one in others if one.gain < 0]),
        ("lowered", [one for one in others if one.gain >= 0]),
    ):
        if group:
            whose = "the validation loss of" if not parts else "that of"
            voters, changes = _join([one.voter for one in group]), _join([_percent(abs(one.gain)) for one in group])
            parts.append(f"{verb} {whose} {voters} by {changes}")
    fields = tuple(f"transfer[{hospital}→{one.voter}].gain" for one in others)
    return ("its update alone " + " and ".join(parts) if parts else ""), fields


def _again(one: HospitalWeight) -> str:
    return f" The same in {len(one.suspect_rounds)} of the last three rounds." if len(one.suspect_rounds) > 1 else ""


def _fields_of(event: Aggregated, candidate: Candidate) -> tuple[str, str]:
    where = f"candidates[{event.candidates.index(candidate)}]"
    return f"{where}.gain", f"{where}.error"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _percent(change: float) -> str:
    """A change of a loss; two decimals, because late in a run gains are far below 1 %."""
    return f"{change * 100:.2f} %"


def _share(part: float) -> str:
    return f"{part * 100:.0f} %"
