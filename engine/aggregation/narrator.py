"""The agent's reasons retold by the base model, for people who like prose. It sees the finished sentences and decides nothing."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from engine.aggregation_messages import Reason
from engine.model.adapters import AdapterBank
from engine.model.decoding import BankDecoder, Served
from engine.model.generate import Sampling, TextStream, generate
from engine.model.serving import Serving
from engine.model.template import prompt_ids
from engine.protocol import ChatTurn

MOST_TOKENS = 160
REQUEST = "Retell these findings in two short, plain sentences. Keep every number as it is and add nothing."


def retell(bank: AdapterBank, reasons: Sequence[Reason]) -> Generator[None, None, str]:
    """The text. Yields after each token."""
    serving = Serving(bank, BankDecoder(bank))
    text = " ".join(reason.text for reason in reasons)
    prompt = prompt_ids(bank.base.tokenizer, [ChatTurn(role="user", text=f"{REQUEST}\n\n{text}")])
    stream, told = TextStream(bank.base.tokenizer), ""
    decoding = serving.decoder.start([Served()])
    for item in generate(decoding, prompt, Sampling(max_tokens=min(MOST_TOKENS, serving.room - len(prompt))), serving.ends):
        if item is not None and item[1] is not None:
            told += stream.push(item[1])
        yield None
    return (told + stream.flush()).strip()
