"""Load the base model, once, and keep it for every later job."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import torch

from engine.errors import ModelError, SettingsError
from engine.jobs.context import Engine
from engine.model.adapters import AdapterBank, size_of
from engine.model.base import BaseModel, load_base
from engine.model.serving import Serving, prepare
from engine.protocol import AnyEvent, ModelLoaded, Progress
from engine.settings import LoraSettings, ModelSettings

Loading = Generator[AnyEvent | None, None, AdapterBank]


@contextmanager
def model_held(engine: Engine, run: str) -> Iterator[None]:
    """Within it, only this run's own job may load a model."""
    engine.holder = run
    try:
        yield
    finally:
        engine.holder = ""


def ensure_bank(engine: Engine, job: str, model: ModelSettings, lora: LoraSettings | None = None, holder: str = "") -> Loading:
    """The bank for these settings: the loaded one where it fits, else a new one.

    Args:
        lora: None takes any adapter shape.
        holder: the run that asks, where it holds the model.

    Raises:
        ModelError: it cannot be loaded, or a run in progress uses another base model or is loading its own.
    """
    bank = engine.bank
    if bank is not None and bank.base.settings == model and lora in (None, bank.lora):
        return bank
    if engine.holder not in ("", holder):
        does = "uses another base model or adapter shape" if bank is not None else "is loading its base model"
        hint = "Wait for it to finish, or stop it first." if bank is not None else "Ask again in a moment."
        raise ModelError(f"the run in progress ({engine.holder}) {does}.", where="model", hint=hint)
    return (yield from _load(engine, job, model, lora or LoraSettings()))


def _load(engine: Engine, job: str, model: ModelSettings, lora: LoraSettings) -> Loading:
    started = time.monotonic()
    threads = _set_threads(attached=engine.attached)
    old, engine.bank, engine.loaded, engine.serving = engine.bank, None, None, None
    base = old.release() if old is not None and old.base.settings == model else None
    del old
    gc.collect()  # the old model goes before the new one comes: two would not fit everywhere
    if base is None:
        base = yield from _load_base(job, model)
    bank = AdapterBank(base, lora)
    engine.bank = bank
    engine.loaded = describe(bank, threads, time.monotonic() - started)
    yield engine.loaded
    if engine.attached:  # somebody may ask at any moment, and should not wait for this then
        yield from ensure_serving(engine, bank)
    return bank


def ensure_serving(engine: Engine, bank: AdapterBank) -> Generator[None, None, Serving]:
    """The loaded model, ready to answer."""
    if engine.serving is None or engine.serving.bank is not bank:
        engine.serving = None
        engine.serving = yield from prepare(bank)
    return engine.serving


def _load_base(job: str, model: ModelSettings) -> Generator[AnyEvent | None, None, BaseModel]:
    for item in load_base(model):
        if isinstance(item, BaseModel):
            return item
        yield Progress(job=job, what=item, done=0, total=0)
    raise AssertionError("load_base ends with the model")


def describe(bank: AdapterBank, threads: int, seconds: float) -> ModelLoaded:
    """The loaded model in numbers."""
    base, adapter = bank.base, bank.initial(seed=0)
    return ModelLoaded(
        name=base.folder.name,
        source=base.folder.source,
        digest=base.folder.digest,
        quantization=base.quantization,
        device=str(base.device),
        threads=threads,
        parameters=base.parameters,
        trainable=sum(tensor.numel() for tensor in adapter.values()),
        base_bytes=base.bytes,
        adapter_bytes=size_of(adapter),
        seconds=seconds,
        stored_bytes=base.folder.stored_bytes,
    )


def _set_threads(*, attached: bool) -> int:
    """All cores when headless; one is left to the screen when there is one. `FEDMED_THREADS` wins over both.

    Raises SettingsError when it is no whole number above 0.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("FEDMED_THREADS") or str(max(1, cores - 1) if attached else cores)
    if not wanted.isdecimal() or int(wanted) < 1:
        what = f"'{wanted[:40]}' is no number of threads."
        raise SettingsError(what, where="FEDMED_THREADS", hint="Set it to a whole number above 0, or not at all.")
    torch.set_num_threads(int(wanted))
    return int(wanted)
