"""The ledger counts what is in every message, and notices what must not be there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from engine.federated.update import Assignment, Evaluation, Lost, Update
from engine.privacy.ledger import Ledger, Ledgered
from engine.protocol import HospitalInfo, StepDone

NAME = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
ADAPTER = {NAME: torch.zeros(8, 16)}


def update(hospital: str) -> Update:
    return Update(hospital=hospital, adapter=ADAPTER, pairs=40, steps=2, loss=2.5, variance=0.1, tokens=900, seconds=1.0, round=1)


class TwoHospitals:
    """A transport that answers at once."""

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        return tuple(HospitalInfo(name=name, train=40, validation=5, test=5) for name in ("A", "B"))

    def train(self, assignment: Assignment) -> Iterator[object]:
        for name in ("A", "B"):
            yield None
            yield StepDone(round=assignment.round, hospital=name, step=1, steps=1, loss=2.0, tokens=900, seconds=1.0)
            yield update(name)

    def evaluate(self, adapters: dict[str, object]) -> Iterator[object]:
        for name in adapters:
            yield Evaluation(hospital=name, loss=2.0, pairs=5, tokens=100)

    def assess(self, assessment: object) -> Iterator[object]:
        yield from ()


def test_an_update_is_adapter_numbers_and_names_and_nothing_else() -> None:
    ledger = Ledger(["A"])

    ledger.add(1, "A", "up", update("A"))

    rows = {row.kind: row for row in ledger.close(1).rows}
    assert rows.keys() == {"adapter", "number", "name"}
    assert rows["adapter"].bytes == 8 * 16 * 4
    assert rows["number"].values == 7
    assert rows["name"].bytes == len("A") + len(NAME)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("What are the symptoms of anaemia?", "text"),
        (torch.tensor([1, 503, 77]), "unknown"),  # token ids
        ({"question": 1}, "text"),
        (b"bytes of any sort", "unknown"),
        ({"pairs"}, "unknown"),
    ],
)
def test_what_may_hold_a_pair_is_counted_apart(value: object, kind: str) -> None:
    ledger = Ledger(["A"])

    ledger.add(1, "A", "up", [2.5, value])

    assert kind in {row.kind for row in ledger.close(1).rows}


def test_every_message_of_a_round_is_entered_both_ways() -> None:
    transport = Ledgered(TwoHospitals())  # type: ignore[arg-type]

    list(transport.evaluate({"A": ADAPTER, "B": ADAPTER}))
    list(transport.train(Assignment(round=1, start=ADAPTER)))
    list(transport.evaluate({"A": ADAPTER, "B": ADAPTER}))

    rows = transport.ledger.close(1).rows
    sizes = {(row.round, row.hospital, row.direction): row.bytes for row in rows if row.kind == "adapter"}
    one = 8 * 16 * 4
    assert sizes == {
        (0, "A", "down"): one,
        (0, "B", "down"): one,
        (1, "A", "down"): 2 * one,  # to train from, and to evaluate
        (1, "B", "down"): 2 * one,
        (1, "A", "up"): one,
        (1, "B", "up"): one,
    }
    assert {row.kind for row in rows} == {"adapter", "number", "name"}


def test_a_closed_page_is_not_counted_again() -> None:
    ledger = Ledger(["A"])
    ledger.add(1, "A", "up", update("A"))
    ledger.close(1)

    assert ledger.close(2).rows == ()


class OneIsLost(TwoHospitals):
    """The second hospital fails."""

    def train(self, assignment: Assignment) -> Iterator[object]:
        yield update("A")
        yield Lost("B", "raised", "its data cannot be read (DataError)")


def test_of_a_lost_hospital_the_kind_of_fault_is_entered_and_no_text() -> None:
    transport = Ledgered(OneIsLost())  # type: ignore[arg-type]
    transport.ledger.close(0)

    list(transport.train(Assignment(round=1, start=ADAPTER)))

    rows = [row for row in transport.ledger.close(1).rows if (row.hospital, row.direction) == ("B", "up")]
    assert [(row.kind, row.bytes) for row in rows] == [("name", len("raised"))]
