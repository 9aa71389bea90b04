"""What a chat asks of the engine and what it hears back: questions, pieces of answers, what the guardrails found, scores.

One question is one job. Its events, in order: `Guarded` for what was found in the question; then either a fixed message
(emergency, refusal) as `ChatText`, or the model's text with a `Guarded` for each sentence that was withheld; `ChatFinished` once
per adapter; `ReferenceScored` and `RouterHinted` where they apply. Losses are mean negative log-likelihood in nats per token.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from engine.messages import Command, Event
from engine.settings import RunConfig

SYSTEM_PROMPT = "You answer medical questions in plain language."
"""Leads every conversation that brings no system turn of its own, and every training pair."""

DISCLAIMER = "Not medical advice: a small language model wrote this. For anything that matters, ask a clinician."
"""The sentence that stands under every answer, on every surface."""
FIXED_DISCLAIMER = "Not medical advice: a fixed message, written by people. In doubt, ask a clinician at once."
"""The same under what the guardrails say instead of a model."""

Role = Literal["system", "user", "assistant"]
Layer = Literal["triage", "refusal", "injection", "output"]
GuardAction = Literal["answered", "withheld", "noted"]


class ChatTurn(Struct, frozen=True, kw_only=True):
    """One message of a conversation."""

    role: Role
    text: str


class Asking(Command, frozen=True, kw_only=True):
    """What `Chat` and `Compare` share."""

    job: str
    turns: Annotated[tuple[ChatTurn, ...], Meta(min_length=1)]
    """The conversation; the last turn is the question. A first turn with the role `system` replaces `SYSTEM_PROMPT`."""
    run: str = ""
    """The run whose adapters are meant; empty is the run in progress, or base alone."""
    config: RunConfig = RunConfig()
    """Which base model to load when none is loaded yet, and whose test pairs hold reference answers."""
    max_tokens: Annotated[int, Meta(ge=1)] = 200
    temperature: Annotated[float, Meta(ge=0.0)] = 0.0
    """0 is greedy."""
    top_p: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.95
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 0
    repetition_penalty: Annotated[float, Meta(ge=1.0)] = 1.1
    """Above 1, what the answer has said already becomes less likely."""
    score: bool = True
    """When the question is a known test pair, score its reference answer with each adapter (`ReferenceScored`)."""
    hint: bool = False
    """Say which hospital's adapter finds the question least surprising (`RouterHinted`)."""


class Chat(Asking, frozen=True, kw_only=True):
    """Answer the last user turn with one adapter, streamed as `ChatText`."""

    adapter: str
    """`base`, `global`, a hospital's name, or `global@2`: the shared adapter as it was after round 2."""


class Compare(Asking, frozen=True, kw_only=True):
    """Answer the last user turn with several adapters at once, as one batch where the model allows."""

    adapters: Annotated[tuple[str, ...], Meta(min_length=2, max_length=4)]


class Guarded(Event, frozen=True, kw_only=True):
    """A safety rule applied. Rules stand with their reasons and sources in `engine/safety/data`."""

    job: str
    adapter: str = ""
    """Whose answer it is about; empty when it is about the question, before any model."""
    layer: Layer
    rule: str
    """The rule's id."""
    title: str
    """What was found, in a few words."""
    reason: str
    source: str
    action: GuardAction
    """`answered`: `message` stands instead of a model's answer. `withheld`: a sentence was left out of the answer.
    `noted`: the answer goes on, `message` belongs beside it."""
    message: str
    matched: str
    """The words that the rule found."""


class ChatText(Event, frozen=True, kw_only=True):
    """The next piece of an answer."""

    job: str
    text: str
    adapter: str = ""


class ChatFinished(Event, frozen=True, kw_only=True):
    """An answer is complete, or was stopped."""

    job: str
    adapter: str
    tokens: int
    first_token_seconds: float
    seconds: float
    stopped: bool
    note: str = ""
    """Something the reader should know, e.g. that the adapter has not been trained yet."""
    prompt_tokens: int = 0
    """Tokens of the whole conversation up to the answer."""
    reused_tokens: int = 0
    """How many of them were still in the key/value cache from earlier turns."""
    disclaimer: str = DISCLAIMER
    """Stands under the answer, always."""


class ReferenceScored(Event, frozen=True, kw_only=True):
    """The question is a test pair of `hospital`: how likely an adapter finds the reference answer."""

    job: str
    adapter: str
    hospital: str
    loss: float
    """Its negative is the mean log-likelihood."""
    tokens: int


class RouterHinted(Event, frozen=True, kw_only=True):
    """A hint, never automatic: which hospital's adapter finds the question least surprising."""

    job: str
    best: str
    losses: dict[str, float]
    """Loss on the question's own tokens, by hospital; the perplexity is its exponential."""
