"""What an answer can be held against: the reference answer of a known test pair, and which hospital's adapter knows the question.

Only on a machine that holds the partitions is there anything to compare with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from engine import locations
from engine.data.pairs import TEST, Pair
from engine.data.partition import find_partitions, read_all
from engine.errors import DataError, FedMedError
from engine.jobs.context import Engine
from engine.jobs.served import Adapters
from engine.model.decoding import Served
from engine.model.serving import Serving
from engine.model.template import encode_pair, encode_question
from engine.protocol import AnyEvent, Asking, ReferenceScored, RouterHinted
from engine.settings import RunConfig

ROUTED = 30
"""Hospitals up to which a hint is given: each takes a pass of the model over the question."""


def score(
    engine: Engine, serving: Serving, command: Asking, config: RunConfig, adapters: Mapping[str, Served]
) -> Iterator[AnyEvent | None]:
    """For a known test pair: the loss of its reference answer, in the manner of held-out loss, adapter by adapter."""
    pair = _test_pairs(engine, config.data.folder).get(_key(command.turns[-1].text))
    if pair is None:
        return
    example = encode_pair(serving.bank.base.tokenizer, pair.question, pair.answer, config.training.max_tokens)
    for name, adapter in adapters.items():
        loss = serving.loss(adapter, example)
        yield ReferenceScored(job=command.job, adapter=name, hospital=pair.hospital, loss=loss, tokens=example.answer_length)


def hint(serving: Serving, command: Asking, config: RunConfig, adapters: Adapters) -> Iterator[AnyEvent | None]:
    """Which hospital's own adapter finds the question least surprising. Nothing with fewer than two or many to choose from."""
    hospitals = adapters.manifest.hospitals if adapters.manifest else ()
    if len(hospitals) > ROUTED:
        return
    example = encode_question(serving.bank.base.tokenizer, command.turns[-1].text, config.training.max_tokens)
    losses: dict[str, float] = {}
    for name in hospitals:
        with suppress(FedMedError):  # a hospital without an adapter yet is no candidate
            adapter, note = adapters.find(name)
            if not note:
                losses[name] = serving.loss(adapter, example)
        yield None
    if len(losses) > 1:
        yield RouterHinted(job=command.job, best=min(losses, key=lambda name: losses[name]), losses=losses)


def _test_pairs(engine: Engine, folder: str) -> dict[str, Pair]:
    """Test pairs of a data folder by question; read once and again when the folder has changed."""
    path = locations.data_folder(folder)
    with suppress(OSError, DataError):
        partitions = find_partitions(path)
        changed = tuple((str(place), place.stat().st_mtime) for place in partitions.values())
        if engine.test_pairs is None or engine.test_pairs[0] != changed:
            pairs = {_key(pair.question): pair for pair in read_all(partitions) if pair.split == TEST}
            engine.test_pairs = (changed, pairs)
        return engine.test_pairs[1]
    return {}


def _key(question: str) -> str:
    return " ".join(question.casefold().split()).rstrip(" ?.!")
