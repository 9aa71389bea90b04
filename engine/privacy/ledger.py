"""The ledger: every value that crosses between the coordinator and a hospital, with its kind and size.

It looks at the messages themselves, field by field, and knows only what may be in them: adapter tensors (floating point),
numbers, and names from a closed list. A string that is no such name is counted as `text`, an integer tensor (token ids, say) or
anything else as `unknown`; of both there must be none, and "0 raw pairs sent" means just that. Sizes are those of the values,
before any encoding or compression by a transport: 8 bytes a number, UTF-8 bytes a name. A transport may send less: over NVFlare
an adapter that a hospital has already does not travel again, and is counted here all the same. Of a hospital's joining the counts
of pairs are entered; not the digests and the precision by which its model is compared with the run's, which go no further. Of a
hospital that is lost the kind of fault is entered; the sentence about it is worded from that kind and, at most, what an exception
stands for and the name of its type.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import get_args

from msgspec import Struct
from msgspec.structs import astuple
from torch import Tensor

from engine.benchmark.results import Direction, Kind, Traffic
from engine.benchmark_messages import TrafficCounted
from engine.federated.transport import Assessing, Evaluating, Training, Transport
from engine.federated.update import Assessment, Assignment, Evaluation, Lost, Update, Verdict
from engine.model.adapters import Adapter
from engine.protocol import Fault, HospitalInfo, StepDone, TrainingStarted

NUMBER_BYTES = 8
TENSOR_NAME = re.compile(r"[A-Za-z0-9_.]+\.lora_[AB]\.weight")
WORDS = frozenset({"A", "B", "screen", "test", "all", *get_args(Fault)})
"""Names of factors, of parts of the validation pairs, and of faults."""


class Ledger:
    """Counts per round, hospital, direction and kind.

    Args:
        hospitals: the names that messages may carry.
    """

    def __init__(self, hospitals: Collection[str]) -> None:
        self._names = WORDS | set(hospitals)
        self._values: Counter[tuple[int, str, Direction, Kind]] = Counter()
        self._bytes: dict[tuple[int, str, Direction, Kind], int] = defaultdict(int)

    def add(self, round_number: int, hospital: str, direction: Direction, message: object) -> None:
        """Count one message's content."""
        for kind, size in _contents(message, self._names):
            key = (round_number, hospital, direction, kind)
            self._values[key] += 1
            self._bytes[key] += size

    def close(self, round_number: int) -> TrafficCounted:
        """What was counted since the last call, and an empty page."""
        rows = tuple(
            Traffic(round=number, hospital=hospital, direction=direction, kind=kind, values=values, bytes=self._bytes[key])
            for key, values in sorted(self._values.items())
            for number, hospital, direction, kind in [key]
        )
        self._values.clear()
        self._bytes.clear()
        return TrafficCounted(round=round_number, rows=rows)


class Ledgered:
    """A transport whose every message is entered in a ledger."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.ledger = Ledger([hospital.name for hospital in transport.hospitals()])
        self._round = 0
        for hospital in transport.hospitals():
            self.ledger.add(0, hospital.name, "up", hospital)

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        """As the transport says."""
        return self._transport.hospitals()

    def train(self, assignment: Assignment) -> Training:
        """As the transport does."""
        self._round = assignment.round
        for name in filter(assignment.asks, (hospital.name for hospital in self._transport.hospitals())):
            own = {key: tensors for key, tensors in assignment.corrections.items() if key == name}
            self.ledger.add(self._round, name, "down", replace(assignment, corrections=own, hospitals=()))
        for item in self._transport.train(assignment):
            if isinstance(item, Update | TrainingStarted | StepDone):
                self.ledger.add(self._round, item.hospital, "up", item)
            self._enter_lost(item)
            yield item

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        """As the transport does."""
        for name, adapter in adapters.items():
            self.ledger.add(self._round, name, "down", adapter)
        for item in self._transport.evaluate(adapters):
            if isinstance(item, Evaluation):
                self.ledger.add(self._round, item.hospital, "up", item)
            self._enter_lost(item)
            yield item

    def assess(self, assessment: Assessment) -> Assessing:
        """As the transport does."""
        for voter in assessment.tokens:
            self.ledger.add(self._round, voter, "down", assessment)
        for item in self._transport.assess(assessment):
            if isinstance(item, Verdict):
                self.ledger.add(self._round, item.voter, "up", item)
            self._enter_lost(item)
            yield item

    def _enter_lost(self, item: object) -> None:
        if isinstance(item, Lost):
            self.ledger.add(self._round, item.hospital, "up", item.kind)


def _contents(value: object, names: Collection[str]) -> Iterator[tuple[Kind, int]]:
    """The kind and size of every value in a message, however deep."""
    parts = _parts(value)
    if parts is None:
        yield _kind(value, names)
    else:
        for part in parts:
            yield from _contents(part, names)


def _parts(value: object) -> Iterable[object] | None:
    """What a container holds; None for a single value."""
    match value:
        case None:
            return ()
        case Mapping():
            return (*value.keys(), *value.values())
        case tuple() | list():
            return value
        case Struct():
            return astuple(value)
        case _:
            return [getattr(value, field.name) for field in fields(value)] if is_dataclass(value) else None


def _kind(value: object, names: Collection[str]) -> tuple[Kind, int]:
    match value:
        case Tensor() if value.is_floating_point():
            return "adapter", value.numel() * value.element_size()
        case bool() | int() | float():
            return "number", NUMBER_BYTES
        case str():
            known = value in names or TENSOR_NAME.fullmatch(value)
            return "name" if known else "text", len(value.encode())
        case _:
            return "unknown", sys.getsizeof(value)
