"""The chat job, event by event, on a tiny model: guardrails, streaming, comparing, scoring, stopping."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import locations
from engine.data.partition import read_partition
from engine.errors import ModelError
from engine.jobs.chat import chat
from engine.jobs.context import Engine
from engine.protocol import (
    AnyEvent,
    Chat,
    ChatFinished,
    ChatText,
    ChatTurn,
    Compare,
    Guarded,
    ModelLoaded,
    ReferenceScored,
    RouterHinted,
)
from engine.scheduler import Cancelled, Job
from engine.settings import ModelSettings, RunConfig
from tests.cli.conftest import trained_home, trained_run  # noqa: F401  (fixtures)
from tests.cli.helpers import TRAINED

QUESTION = "What are the symptoms of asthma?"
EMERGENCY = "My mother has collapsed and has no pulse"


@pytest.fixture
def config(home: Path, tiny_model: Path) -> RunConfig:
    """Settings that load the tiny model."""
    return RunConfig(model=ModelSettings(source=str(tiny_model), quantization="none"))


@pytest.fixture(scope="module")
def engine() -> Engine:
    """One engine for all tests of this module: the model is loaded once."""
    return Engine()


def asking(config: RunConfig, question: str, adapter: str = "base", **more: object) -> Chat:
    turns = (ChatTurn(role="user", text=question),)
    return Chat(job="chat", adapter=adapter, turns=turns, config=config, **{"max_tokens": 12, **more})  # type: ignore[arg-type]


def events(job: Job) -> list[AnyEvent]:
    return [event for event in job if event is not None and not isinstance(event, ModelLoaded)]


def text(found: list[AnyEvent], adapter: str = "base") -> str:
    return "".join(event.text for event in found if isinstance(event, ChatText) and event.adapter == adapter)


def of(found: list[AnyEvent], kind: type) -> list:  # type: ignore[type-arg]
    return [event for event in found if isinstance(event, kind)]


def test_an_emergency_gets_its_message_before_any_model_is_loaded(config: RunConfig) -> None:
    engine = Engine()

    found, said, finished = events(chat(engine, asking(config, EMERGENCY)))

    assert isinstance(found, Guarded) and (found.layer, found.action) == ("triage", "answered")
    assert isinstance(said, ChatText) and said.text == found.message and "Call your local emergency number" in said.text
    assert isinstance(finished, ChatFinished) and finished.tokens == 0 and finished.disclaimer
    assert engine.bank is None


def test_every_compared_adapter_gets_the_emergency_message(config: RunConfig) -> None:
    turns = (ChatTurn(role="user", text=EMERGENCY),)

    found = events(chat(Engine(), Compare(job="chat", adapters=("base", "A"), turns=turns, config=config)))

    assert text(found, "base") == text(found, "A") != ""
    assert [event.adapter for event in of(found, ChatFinished)] == ["base", "A"]


def test_an_answer_is_streamed_and_ends_with_the_disclaimer(config: RunConfig, engine: Engine) -> None:
    found = events(chat(engine, asking(config, QUESTION)))

    finished = found[-1]
    assert isinstance(finished, ChatFinished) and finished.tokens <= 12 and "Not medical advice" in finished.disclaimer
    assert text(found).strip()


def test_the_same_seed_gives_the_same_answer(config: RunConfig, engine: Engine) -> None:
    one, two, other = (text(events(chat(engine, asking(config, QUESTION, temperature=1.0, seed=seed)))) for seed in (1, 1, 2))

    assert one == two != other


def test_a_note_stands_beside_the_answer(config: RunConfig, engine: Engine) -> None:
    found = events(chat(engine, asking(config, "Do I need to see a doctor for hammer toe?")))

    assert isinstance(found[0], Guarded) and found[0].action == "noted"
    assert of(found, ChatFinished)[0].tokens > 0


def test_a_stopped_answer_ends_with_what_was_said(config: RunConfig, engine: Engine) -> None:
    job = chat(engine, asking(config, QUESTION, max_tokens=200))
    while not isinstance(next(job), ChatText):
        pass

    finished = job.throw(Cancelled())
    while not isinstance(finished, ChatFinished):
        finished = next(job)

    assert finished.stopped
    with pytest.raises(Cancelled):
        next(job)


def test_an_unknown_adapter_is_refused_with_those_there_are(trained_run: Path, config: RunConfig, engine: Engine) -> None:  # noqa: F811
    with pytest.raises(ModelError, match="no adapter 'Z'") as caught:
        events(chat(engine, asking(config, QUESTION, adapter="Z", run=TRAINED)))

    assert "base, global, A, B, C, global@1, global@2" in caught.value.hint


def test_adapters_answer_one_question_side_by_side(trained_run: Path, config: RunConfig, engine: Engine) -> None:  # noqa: F811
    turns, adapters = (ChatTurn(role="user", text=QUESTION),), ("base", "A", "global", "global@1")

    found = events(chat(engine, Compare(job="chat", adapters=adapters, turns=turns, run=TRAINED, max_tokens=12)))

    assert {event.adapter for event in of(found, ChatFinished)} == set(adapters)
    alone = events(chat(engine, asking(config, QUESTION, adapter="A", run=TRAINED)))
    assert text(found, "A") == text(alone, "A")


def test_a_known_test_question_is_scored_and_hospitals_are_ranked(trained_run: Path, config: RunConfig, engine: Engine) -> None:  # noqa: F811
    pair = next(pair for pair in read_partition(locations.sample_folder(), "B") if pair.split == "test")

    found = events(chat(engine, asking(config, f" {pair.question.upper()} ", adapter="B", run=TRAINED, hint=True)))

    (scored,), (hinted,) = of(found, ReferenceScored), of(found, RouterHinted)
    assert (scored.adapter, scored.hospital) == ("B", "B") and scored.loss > 0
    assert hinted.losses.keys() == {"A", "B", "C"} and hinted.best == min(hinted.losses, key=hinted.losses.__getitem__)


def test_a_conversation_longer_than_the_model_loses_its_beginning(config: RunConfig, engine: Engine) -> None:
    old = (ChatTurn(role="user", text="fever " * 600), ChatTurn(role="assistant", text="rest " * 600))
    command = Chat(job="chat", adapter="base", turns=(*old, ChatTurn(role="user", text=QUESTION)), config=config, max_tokens=8)

    finished = of(events(chat(engine, command)), ChatFinished)[0]

    assert "left out" in finished.note and finished.prompt_tokens < 200


def test_a_question_longer_than_the_model_is_refused(config: RunConfig, engine: Engine) -> None:
    with pytest.raises(ModelError, match="tokens; the model can hold"):
        events(chat(engine, asking(config, "What helps against rheumatism in the knees? " * 150)))
