"""How fast answers come, and what that costs in exactness. Ratios are of runs in turns: median, smallest and largest.

    python -m benchmarks.chat [--repeats 5] [--part model|process]

In this process: decoding against `transformers.generate` with the same adapter (and against llama.cpp where llama-cpp-python is
installed), four adapters in one batch, switching, the fifth turn of a conversation, and held-out loss through the decoding path.
Over a real engine process: a cold `fedmed-tui chat --query` against the loaded engine, stopping an answer, and chat while a run
trains. Everything runs on the bundled model and the sample corpus in a temporary working folder. CPU seconds are told beside wall
seconds: on a busy machine only their ratios mean something.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import GenerationConfig

from benchmarks.chat_process import measure_process
from engine import locations
from engine.data.partition import read_partition
from engine.model.adapters import AdapterBank
from engine.model.base import BaseModel, load_base
from engine.model.decoding import BankDecoder, Decoder, Served, one_thread
from engine.model.generate import Sampling, generate
from engine.model.serving import Serving, prepare
from engine.model.template import encode_pair, prompt_ids
from engine.protocol import ChatTurn
from engine.settings import LoraSettings, ModelSettings

QUESTIONS = (
    "What are the symptoms of anaemia?",
    "How is it diagnosed?",
    "Which foods help?",
    "How long does it take to get better?",
    "Can children have it too?",
)
TOKENS = 64
LOSS_PAIRS = 24
TOLERANCE = 0.01
"""Nats per token by which packed weights may change held-out loss."""


@dataclass
class Timed:
    """What one way of doing something took, repeat by repeat."""

    wall: list[float]
    cpu: list[float]


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--part", choices=("model", "process"), help="only what runs in this process, or over an engine process")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["FEDMED_HOME"] = home
        os.environ["FEDMED_LOG"] = str(Path(home) / "engine.log")
        if arguments.part != "process":
            measure_model(arguments.repeats)
        if arguments.part != "model":
            measure_process(TOKENS)


def measure_model(repeats: int) -> None:
    """What needs no engine process."""
    bank, serving = load()
    adapters = [made_up(bank, seed) for seed in range(3)]
    compare_decoding(serving, adapters, repeats)
    compare_loss(bank, serving, adapters[0])
    measure_switching(serving, adapters)
    measure_turns(serving, adapters[0])


def load() -> tuple[AdapterBank, Serving]:
    """The bundled model, ready to answer on one thread."""
    torch.set_num_threads(1)
    *_, base = load_base(ModelSettings())
    assert isinstance(base, BaseModel)
    bank = AdapterBank(base, LoraSettings())
    started, steps = time.perf_counter(), prepare(bank)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            print(f"{base.folder.name}, {base.quantization}; packed for decoding in {time.perf_counter() - started:.2f} s\n")
            return bank, end.value


def made_up(bank: AdapterBank, seed: int) -> Served:
    """An adapter as large as a trained one."""
    torch.manual_seed(seed)
    tensors = bank.initial(seed)
    return Served({key: torch.randn_like(tensor) * 0.02 if ".lora_B." in key else tensor for key, tensor in tensors.items()})


def compare_decoding(serving: Serving, adapters: Sequence[Served], repeats: int) -> None:
    """Tokens a second of one answer, several ways."""
    general = BankDecoder(serving.bank)
    prompt = prompt_ids(serving.bank.base.tokenizer, [ChatTurn(role="user", text=QUESTIONS[0])])
    ways: dict[str, Callable[[], None]] = {
        "this project": lambda: decode(serving.decoder, adapters[:1], prompt),
        "transformers.generate": lambda: transformers_generate(general, adapters[0], prompt),
        "this project, 4 adapters in a batch": lambda: decode(serving.decoder, [Served(), *adapters], prompt),
    }
    if importlib.util.find_spec("llama_cpp"):
        ways["llama.cpp, 1 thread, no adapter"] = llama_cpp(prompt)
    timed = {name: Timed([], []) for name in ways}
    with one_thread():
        for _ in range(repeats + 1):  # the first round warms up
            for name, way in ways.items():
                wall, cpu = time.perf_counter(), time.process_time()
                way()
                timed[name].wall.append(time.perf_counter() - wall)
                timed[name].cpu.append(time.process_time() - cpu)
    reference = timed["transformers.generate"]
    print(f"{f'{TOKENS} tokens, prompt of {len(prompt)}':<38}{'tokens/s':>10}{'by CPU':>10}{'ratio':>20}{'by CPU':>20}")
    for name, one in timed.items():
        rows = 4 if "4 adapters" in name else 1
        wall, cpu = (rows * TOKENS / statistics.median(values[1:]) for values in (one.wall, one.cpu))
        ratios = (spread(rows, base, own) for base, own in ((reference.wall, one.wall), (reference.cpu, one.cpu)))
        print(f"{name:<38}{wall:>10.1f}{cpu:>10.1f}" + "".join(f"{ratio:>20}" for ratio in ratios))
    print()


def spread(rows: int, base: Sequence[float], own: Sequence[float]) -> str:
    """How many times as fast, pair by pair without the first: `3.40 (3.31–3.52)`."""
    ratios = [rows * theirs / ours for theirs, ours in zip(base[1:], own[1:], strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def decode(decoder: Decoder, adapters: Sequence[Served], prompt: Sequence[int]) -> None:
    """An answer of `TOKENS` tokens from each adapter."""
    for _ in generate(decoder.start(adapters), prompt, Sampling(max_tokens=TOKENS), ends=()):
        pass


def transformers_generate(general: BankDecoder, adapter: Served, prompt: Sequence[int]) -> None:
    """The same with the public library's own loop, through peft."""
    general.activate(adapter)
    exactly = GenerationConfig(max_new_tokens=TOKENS, min_new_tokens=TOKENS, do_sample=False, pad_token_id=0)
    ids = torch.tensor([list(prompt)])
    with torch.inference_mode():
        general.bank.base.model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=exactly)


def llama_cpp(prompt: Sequence[int]) -> Callable[[], None]:
    """The same with llama.cpp on the very same GGUF, without an adapter."""
    from llama_cpp import Llama

    model = Llama(str(locations.bundled_gguf()), n_threads=1, n_threads_batch=1, n_ctx=1024, verbose=False)

    def way() -> None:
        model.reset()
        model.eval(list(prompt))
        for _ in range(TOKENS - 1):
            model.eval([prompt[-1]])

    return way


def compare_loss(bank: AdapterBank, serving: Serving, adapter: Served) -> None:
    """Loss of test answers read in one piece by the model itself, and token by token through the decoding path."""
    pairs = [pair for hospital in ("A", "B", "C") for pair in read_partition(locations.sample_folder(), hospital)]
    tests = [pair for pair in pairs if pair.split == "test"][::2][:LOSS_PAIRS]
    general, whole, single, count = BankDecoder(bank), 0.0, 0.0, 0
    with one_thread():
        for pair in tests:
            example = encode_pair(bank.base.tokenizer, pair.question, pair.answer, 256)
            whole += general.loss(adapter, example) * example.answer_length
            single += loss_by_token(serving.decoder, adapter, example.ids, example.prompt_length)
            count += example.answer_length
    difference = single / count - whole / count
    verdict = "within" if abs(difference) <= TOLERANCE else "OUTSIDE"
    print(f"held-out loss over {count} answer tokens: model {whole / count:.4f}, decoding path {single / count:.4f}")
    print(f"  difference {difference:+.4f}, {verdict} the tolerance of {TOLERANCE}\n")


def loss_by_token(decoder: Decoder, adapter: Served, ids: Sequence[int], start: int) -> float:
    """Sum of negative log-likelihoods of ids[start:], each read alone."""
    decoding = decoder.start([adapter])
    logits, total = decoding.extend(torch.tensor([ids[:start]])), 0.0
    for token in ids[start:]:
        total -= float(torch.log_softmax(logits[0], dim=-1)[token])
        logits = decoding.extend(torch.tensor([[token]]))
    return total


def measure_switching(serving: Serving, adapters: Sequence[Served]) -> None:
    """From one adapter to another, up to where the next question can be read."""
    spent = []
    for turn in range(30):
        fresh = Served(dict(adapters[turn % 3].tensors))  # nothing remembered of it
        started = time.perf_counter()
        serving.continued(fresh, [1, 2, 3])
        spent.append(1000 * (time.perf_counter() - started))
    print(f"switching adapters: median {statistics.median(spent):.1f} ms, longest {max(spent):.1f} ms (goal 50)\n")


def measure_turns(serving: Serving, adapter: Served) -> None:
    """Seconds to the first token, turn after turn of one conversation, with and without its keys and values kept."""
    tokenizer, turns = serving.bank.base.tokenizer, list[ChatTurn]()
    print(f"{'turn':<6}{'prompt':>8}{'reused':>8}{'kept':>10}{'not kept':>10}   seconds to the first token")
    for number, question in enumerate(QUESTIONS, start=1):
        turns.append(ChatTurn(role="user", text=question))
        prompt = prompt_ids(tokenizer, turns)
        afresh = first_token(lambda prompt=prompt: serving.decoder.start([adapter]), prompt)[0]
        reused = serving.continued(adapter, prompt).ids.shape[1]
        kept, tokens = first_token(lambda prompt=prompt: serving.continued(adapter, prompt), prompt)
        turns.append(ChatTurn(role="assistant", text=tokenizer.decode(tokens, skip_special_tokens=True)))
        print(f"{number:<6}{len(prompt):>8}{reused:>8}{kept:>10.3f}{afresh:>10.3f}")
    print()


def first_token(start: Callable[[], object], prompt: Sequence[int]) -> tuple[float, list[int]]:
    """Seconds to the first token of an answer, and the answer."""
    started, first, tokens = time.perf_counter(), 0.0, []
    for item in generate(start(), prompt, Sampling(max_tokens=TOKENS), ends=()):  # type: ignore[arg-type]
        if item is not None and item[1] is not None:
            first = first or time.perf_counter() - started
            tokens.append(item[1])
    return first, tokens


if __name__ == "__main__":
    main()
