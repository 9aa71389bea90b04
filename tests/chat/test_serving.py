"""A follow-up question pays only for its own tokens, as long as adapter and conversation are the same."""

from __future__ import annotations

import pytest
import torch

from engine.errors import ModelError
from engine.model.adapters import AdapterBank
from engine.model.decoding import SLOTS, BankDecoder, Served
from engine.model.generate import Sampling, generate
from engine.model.lean import CACHE_STEP, LeanDecoder
from engine.model.serving import CONVERSATIONS, KEPT_TOKENS, Serving
from engine.model.template import Example
from engine.settings import LoraSettings
from tests.chat.conftest import adapter

FIRST = list(range(5, 25))
SECOND = [*FIRST, 30, 31, 32]


@pytest.fixture
def serving(bank: AdapterBank, lean: LeanDecoder) -> Serving:
    """Remembers no conversation yet."""
    return Serving(bank, lean)


def ask(serving: Serving, served: Served, prompt: list[int]) -> tuple[int, list[int]]:
    """Tokens reused, and the answer."""
    decoding = serving.continued(served, prompt)
    reused = decoding.ids.shape[1]
    items = list(generate(decoding, prompt, Sampling(max_tokens=6), ends=()))
    return reused, [item[1] for item in items if item is not None and item[1] is not None]


def test_the_next_turn_reads_only_what_is_new(serving: Serving) -> None:
    ask(serving, Served(), FIRST)

    assert ask(serving, Served(), SECOND)[0] == len(FIRST)


def test_what_was_kept_changes_no_answer(bank: AdapterBank, lean: LeanDecoder, serving: Serving) -> None:
    ask(serving, Served(), FIRST)
    kept = ask(serving, Served(), SECOND)[1]

    assert kept == ask(Serving(bank, lean), Served(), SECOND)[1]


def test_the_same_question_again_reads_its_last_token_again(serving: Serving) -> None:
    answers = [ask(serving, Served(), FIRST) for _ in range(2)]

    assert [reused for reused, _ in answers] == [0, len(FIRST) - 1]
    assert answers[0][1] == answers[1][1]


def test_a_changed_adapter_starts_afresh(bank: AdapterBank, serving: Serving) -> None:
    ask(serving, adapter(bank, 1), FIRST)

    assert ask(serving, adapter(bank, 2), SECOND)[0] == 0
    assert ask(serving, adapter(bank, 1), SECOND)[0] == len(FIRST)  # equal numbers, though another object


def test_only_the_latest_conversations_are_kept(bank: AdapterBank, serving: Serving) -> None:
    for seed in range(CONVERSATIONS + 1):
        ask(serving, adapter(bank, seed), FIRST)

    assert ask(serving, adapter(bank, 0), SECOND)[0] == 0


def test_a_long_conversation_takes_the_room_of_those_before_it(bank: AdapterBank, serving: Serving) -> None:
    ask(serving, adapter(bank, 0), FIRST)
    serving.continued(adapter(bank, 1), FIRST).extend(torch.zeros((1, KEPT_TOKENS), dtype=torch.long))

    ask(serving, adapter(bank, 2), FIRST)

    assert ask(serving, adapter(bank, 0), SECOND)[0] == 0


def test_what_is_forgotten_gives_its_memory_back(lean: LeanDecoder) -> None:
    decoding = lean.start([Served()])
    decoding.extend(torch.zeros((1, 4 * CACHE_STEP), dtype=torch.long))
    long = decoding._cache.nbytes

    decoding.cut(10)

    assert decoding._cache.nbytes == long / 4


def of_another_kind(bank: AdapterBank, alpha: float, modules: tuple[str, ...]) -> Served:
    """An adapter with this scale, in these layers alone."""
    lora = LoraSettings(rank=bank.lora.rank, alpha=alpha, target_modules=modules)
    return Served({name: one for name, one in adapter(bank, 9).tensors.items() if any(m in name for m in modules)}, lora)


@pytest.mark.parametrize(("alpha", "modules"), [(64.0, ("q_proj", "v_proj")), (16.0, ("q_proj",))])
def test_an_adapter_of_another_kind_answers_rightly_after_others(
    bank: AdapterBank, lean: LeanDecoder, alpha: float, modules: tuple[str, ...]
) -> None:
    served, prompt, decoder = of_another_kind(bank, alpha, modules), torch.tensor([FIRST]), BankDecoder(bank)
    for seed in range(SLOTS):  # every slot is taken
        decoder.start([adapter(bank, seed)]).extend(prompt)

    logits = decoder.start([served]).extend(prompt)

    torch.testing.assert_close(logits, lean.start([served]).extend(prompt), atol=0.01, rtol=0.0)


@pytest.mark.parametrize("way", ["continued", "start", "loss"])
def test_an_adapter_of_another_base_model_is_turned_away_whatever_is_asked_of_it(
    bank: AdapterBank, serving: Serving, way: str
) -> None:
    foreign = Served({name.replace("layers.1", "layers.7"): one for name, one in adapter(bank, 1).tensors.items()}, bank.lora)
    ways = {
        "continued": lambda: serving.continued(foreign, FIRST),
        "start": lambda: serving.start([Served(), foreign]),
        "loss": lambda: serving.loss(foreign, Example(ids=tuple(FIRST), prompt_length=3)),
    }

    with pytest.raises(ModelError, match="another base model"):
        ways[way]()
