"""One answer as a job: find the adapter, render the conversation, stream text. Goes before training, token by token."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator

from engine import locations
from engine.errors import ModelError
from engine.federated.checkpoint import adapter_folder
from engine.jobs.context import Engine
from engine.jobs.model import ensure_bank
from engine.manifest import read_manifest
from engine.model.adapters import WEIGHTS_FILE, AdapterBank, load_adapter, slot
from engine.model.generate import Sampling, TextStream, generate
from engine.model.template import prompt_ids
from engine.protocol import BASE, AnyEvent, Chat, ChatFinished, ChatText
from engine.scheduler import Cancelled, Job


def chat(engine: Engine, command: Chat) -> Job:
    """Stream the answer as ChatText, then ChatFinished, also when it was stopped.

    Raises:
        ModelError, RunError: the adapter or its base model is not to be had.
    """
    asked = time.monotonic()
    bank, name, note = yield from _adapter(engine, command)
    prompt = prompt_ids(bank.base.tokenizer, command.turns)
    sampling = Sampling(max_tokens=command.max_tokens, temperature=command.temperature, top_p=command.top_p, seed=command.seed)
    stream, tokens, first = TextStream(bank.base.tokenizer), 0, 0.0
    stopped = False
    try:
        for token in generate(bank, name, prompt, sampling):
            tokens += 1
            first = first or time.monotonic() - asked
            text = stream.push(token)
            yield ChatText(job=command.job, text=text) if text else None
    except Cancelled:
        stopped = True
    rest = stream.flush()
    if rest:
        yield ChatText(job=command.job, text=rest)
    yield ChatFinished(
        job=command.job,
        adapter=command.adapter,
        tokens=tokens,
        first_token_seconds=first,
        seconds=time.monotonic() - asked,
        stopped=stopped,
        note=note,
    )
    if stopped:
        raise Cancelled


def _adapter(engine: Engine, command: Chat) -> Generator[AnyEvent | None, None, tuple[AdapterBank, str, str]]:
    """The bank, the slot that answers, and a note for the reader."""
    if command.run and command.run != engine.live_run:
        return (yield from _stored_adapter(engine, command))
    bank = engine.bank if engine.live_run and engine.bank else (yield from ensure_bank(engine, command.job, command.config.model))
    if command.adapter == BASE:
        return bank, BASE, ""
    name = slot(command.adapter)
    if engine.live_run and name in bank:
        return bank, name, ""
    return bank, BASE, f"{command.adapter} has no adapter yet: this is the base model's answer."


def _stored_adapter(engine: Engine, command: Chat) -> Generator[AnyEvent | None, None, tuple[AdapterBank, str, str]]:
    """An adapter out of a run's folder, read again when its file has changed."""
    path = locations.run_folder(command.run)
    manifest = read_manifest(path)
    bank = yield from ensure_bank(engine, command.job, manifest.config.model)
    if command.adapter == BASE:
        return bank, BASE, ""
    folder = adapter_folder(path, command.adapter)
    weights = folder / WEIGHTS_FILE
    if not weights.is_file():
        known = ", ".join(("base", "global", *manifest.hospitals))
        raise ModelError(
            f"run {command.run} has no adapter '{command.adapter}'.",
            where=str(folder),
            hint=f"It has: {known}." if manifest.completed else "It has not finished a round yet.",
        )
    name = "stored_" + hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    modified = weights.stat().st_mtime
    if engine.stored_slots.get(name) != modified:
        lora, adapter = load_adapter(folder)
        bank.put(name, adapter, lora)
        engine.stored_slots[name] = modified
    return bank, name, ""
