"""The loaded model as it answers: one decoder, and for each adapter the conversation it had last.

Keys and values of a conversation are kept until another conversation with the same adapter begins or others need the room, so a
follow-up question pays only for its own tokens. Whether they still hold is decided by the numbers: same adapter tensors, same
first tokens.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Generator, Sequence

import psutil

from engine.model.adapters import AdapterBank
from engine.model.decoding import BankDecoder, Decoder, Decoding, Served
from engine.model.foreign import check_fits
from engine.model.lean import LeanDecoder, can_decode
from engine.model.template import Example, shared_length

CONVERSATIONS = 4
"""Adapters whose last conversation is kept."""
KEPT_TOKENS = 4096
"""Of all kept conversations beside the one asked last. A token takes 22.5 KiB in the bundled model, 128 KiB in Mistral-7B."""


class Serving:
    """Answers from one adapter bank."""

    def __init__(self, bank: AdapterBank, decoder: Decoder) -> None:
        self.bank = bank
        self.decoder = decoder
        self._conversations: OrderedDict[str, Decoding] = OrderedDict()  # by fingerprint, least recently used first

    def continued(self, adapter: Served, prompt: Sequence[int]) -> Decoding:
        """The adapter's conversation, cut back to what it shares with the prompt, short of the prompt's last token.

        Raises ModelError when the adapter was made for another base model.
        """
        decoding = self._conversations.pop(adapter.fingerprint, None) or self.start([adapter])
        decoding.cut(shared_length(decoding.ids[0].tolist(), prompt[:-1]))
        self._conversations[adapter.fingerprint] = decoding
        self._make_room()
        return decoding

    def start(self, adapters: Sequence[Served]) -> Decoding:
        """A batch of empty sequences. Raises ModelError when an adapter was made for another base model."""
        for adapter in adapters:
            check_fits(self.bank.base.model, adapter.tensors, where="adapter")
        return self.decoder.start(adapters)

    def loss(self, adapter: Served, example: Example) -> float:
        """As the decoder. Raises ModelError when the adapter was made for another base model."""
        check_fits(self.bank.base.model, adapter.tensors, where="adapter")
        return self.decoder.loss(adapter, example)

    def _make_room(self) -> None:
        """Drop the conversations asked longest ago, but never the last one."""
        kept = sum(decoding.ids.shape[1] for decoding in self._conversations.values())
        while len(self._conversations) > 1 and (len(self._conversations) > CONVERSATIONS or kept > KEPT_TOKENS):
            kept -= self._conversations.popitem(last=False)[1].ids.shape[1]

    @property
    def ends(self) -> Collection[int]:
        """Token ids that end an answer."""
        config = self.bank.base.model.generation_config
        configured = config.eos_token_id if config is not None else None
        listed = configured if isinstance(configured, list) else [configured]
        return {token for token in (*listed, self.bank.base.tokenizer.eos_token_id) if token is not None}

    @property
    def room(self) -> int:
        """Tokens the model can hold, prompt and answer together."""
        return int(self.bank.base.model.config.max_position_embeddings)


def prepare(bank: AdapterBank) -> Generator[None, None, Serving]:
    """Make a bank ready to answer, with the fast decoder where it can be used; pauses in between.

    Packing needs up to a fifth of the bytes of the model's weights; where memory is short, the model answers as it is.
    """
    model = bank.base.model
    if not can_decode(model) or psutil.virtual_memory().available < bank.base.bytes:
        return Serving(bank, BankDecoder(bank))
    decoder = LeanDecoder(model)
    yield from decoder.prepare()
    return Serving(bank, decoder)
