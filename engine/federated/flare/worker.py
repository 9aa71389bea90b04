"""The hospital's side of a federation: joins a run with its own data, model and policy, and answers calls.

Lives in the hospital's engine process. Between a message and its answer nothing but `wire` types comes in or goes out.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec

from engine.errors import ProtocolError
from engine.federated.flare import wire
from engine.federated.flare.policy import Policy
from engine.federated.hospital import Hospital
from engine.federated.update import Assessment, Assignment
from engine.model.adapters import Adapter, AdapterBank, digest_of
from engine.protocol import AnyEvent, StepDone

Answering = Generator[AnyEvent | None, None, bytes]


@dataclass
class Attending:
    """A hospital that has joined a run."""

    hospital: Hospital
    bank: AdapterBank
    policy: Policy
    joined: wire.Joined
    kept: dict[str, tuple[str, Adapter]] = field(default_factory=dict)
    """The adapter it was given last (at first the one that it made itself) and the one it sent last, with their digests."""

    def answer(self, data: bytes) -> Answering:
        """Do what a message asks. Yields progress that the policy allows. Raises PolicyError, ProtocolError, or what broke."""
        header, groups = wire.unpack(data, where=self.hospital.name)
        match header:
            case wire.Train():
                return (yield from self._train(header, groups))
            case wire.Evaluate():
                return (yield from self._evaluate(header, groups))
            case wire.Assess():
                return (yield from self._assess(header, groups))
            case _:
                raise ProtocolError("is no request.", where=type(header).__name__)

    def _train(self, asked: wire.Train, groups: wire.Groups) -> Answering:
        name, start = self.hospital.name, self._adapter(asked.start, groups.get("start"))
        if start is None:
            return wire.pack(wire.Missing())
        corrections = {name: groups["correction"]} if "correction" in groups else {}
        work = self.hospital.train(Assignment(asked.round, start, asked.trains, asked.held, corrections))
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                update = end.value
                break
            yield None if isinstance(event, StepDone) and "progress" not in self.policy.reports else self._rounded(event)
        told = wire.Trained(
            pairs=update.pairs,
            steps=update.steps,
            loss=self.policy.rounded(update.loss),
            variance=self.policy.rounded(update.variance),
            tokens=update.tokens,
            seconds=self.policy.told(update.seconds),
            round=update.round,
        )
        sent = self.policy.clipped(update.adapter, start)
        self.kept["sent"] = digest_of(sent), sent
        return wire.pack(told, {"adapter": sent, "gradient": update.gradient})

    def _adapter(self, digest: str, given: Adapter | None) -> Adapter | None:
        """The adapter that is meant; None when it did not travel and is not here."""
        if given is None:
            return next((adapter for name, adapter in self.kept.values() if name == digest), None)
        self.bank.check(given, where="the coordinator's adapter")
        self.kept["given"] = digest_of(given), given
        return given

    def _rounded(self, event: AnyEvent | None) -> AnyEvent | None:
        if not isinstance(event, StepDone):
            return event
        return msgspec.structs.replace(event, loss=self.policy.rounded(event.loss), seconds=self.policy.told(event.seconds))

    def _evaluate(self, asked: wire.Evaluate, groups: wire.Groups) -> Answering:
        self.policy.require("validation")
        adapter = self._adapter(asked.adapter, groups.get("adapter"))
        if adapter is None:
            return wire.pack(wire.Missing())
        found = yield from self.hospital.evaluate(adapter)
        return wire.pack(wire.Measured(loss=self.policy.rounded(found.loss), pairs=found.pairs, tokens=found.tokens))

    def _assess(self, asked: wire.Assess, groups: wire.Groups) -> Answering:
        self.policy.require("judging")
        adapters = tuple(groups[group] for group in sorted(groups))
        for adapter in adapters:
            self.bank.check(adapter, where="the coordinator's adapter")
        found = yield from self.hospital.assess(
            Assessment(asked.round, adapters, asked.vectors, asked.part, asked.pairs, asked.tokens, asked.slopes)
        )
        rounded = {field: tuple(map(self.policy.rounded, getattr(found, field))) for field in ("losses", "gains", "slopes")}
        errors = tuple(map(self.policy.rounded_up, found.errors))
        seconds = self.policy.told(found.seconds)
        return wire.pack(wire.Judged(**rounded, errors=errors, pairs=found.pairs, tokens=found.tokens, seconds=seconds))


def tokenizer_digest(bank: AdapterBank) -> str:
    """SHA-256 of what decides which tokens a text becomes."""
    tokenizer = bank.base.tokenizer
    whole = tokenizer.backend_tokenizer.to_str() + str(tokenizer.chat_template) + str(tokenizer.pad_token_id)
    return sha256(whole.encode()).hexdigest()


def differences(joined: wire.Joined, own: wire.Join) -> list[str]:
    """In which respects a hospital does not have what the run needs, in this side's words: none that the hospital wrote."""
    pairs = (
        ("protocol", str(joined.wire), str(own.wire)),
        ("base model", joined.digest[:12], own.digest[:12]),
        ("quantization", joined.quantization, own.quantization),
        ("tokenizer", joined.tokenizer[:12], own.tokenizer[:12]),
    )
    return [f"another {what} than {ours}" for what, theirs, ours in pairs if theirs != ours]
