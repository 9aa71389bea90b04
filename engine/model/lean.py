"""A decoder of our own for Llama-like models on a CPU: the same arithmetic as transformers', several times as fast.

Three things make it fast: single tokens go through packed weights (`engine.model.packed`), layers that share an input are one
product, and there is nothing but tensor operations between two products. Several tokens at once (a prompt) go through the model's
own weights. An adapter is two narrow products beside each group of layers: switching costs nothing, and several adapters answer
in one batch. The model and the adapter bank are only read, so training may go on between two tokens.

Shapes: B sequences, T new tokens, S tokens with them, D width, H query heads, K key heads, E width of a head, R rank, V tokens in
the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from engine.model.decoding import Served, one_thread
from engine.model.packed import pack
from engine.model.template import Example

ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM")
FIXED_ROPES = ("default", "linear", "llama3")
"""Rotary embeddings whose angles depend on the position alone."""
CACHE_STEP = 256
"""Tokens by which the key/value cache grows."""

LowRank = tuple[Tensor, Tensor]
"""Adapters of a group of layers, one a sequence: (B, in, R) and (B, R, out), scaled."""


def can_decode(model: PreTrainedModel) -> bool:
    """Whether `LeanDecoder` computes what this model computes."""
    config = model.config
    return (
        type(model).__name__ in ARCHITECTURES
        and model.device.type == "cpu"
        and config.hidden_act == "silu"
        and getattr(config, "sliding_window", None) is None
        and config.rope_parameters.get("rope_type", "default") in FIXED_ROPES
        and all(_is_plain(_base(layer)) for block in model.model.layers for group in _groups(block) for layer in group.values())
    )


def _groups(block: Any) -> tuple[dict[str, nn.Module], ...]:
    """The linear layers of a block, those that share an input together."""
    attention, mlp = block.self_attn, block.mlp
    return (
        {f"self_attn.{name}": getattr(attention, name) for name in ("q_proj", "k_proj", "v_proj")},
        {"self_attn.o_proj": attention.o_proj},
        {f"mlp.{name}": getattr(mlp, name) for name in ("gate_proj", "up_proj")},
        {"mlp.down_proj": mlp.down_proj},
    )


def _base(layer: Any) -> Any:
    """The layer without the adapters that the bank has wrapped around it."""
    return getattr(layer, "base_layer", layer)


def _is_plain(layer: Any) -> bool:
    plain = type(layer) is nn.Linear and layer.weight.dtype in (torch.float32, torch.bfloat16)
    return plain and "bias" not in dict(layer.named_parameters())


class _Group:
    """Linear layers that share their input, as one product."""

    def __init__(self, names: Sequence[str], layers: Sequence[Any]) -> None:
        self._names = names
        self._weights: list[Tensor] = [_base(layer).weight.detach() for layer in layers]
        self._single = pack(torch.cat(self._weights))

    def __call__(self, x: Tensor, low_rank: LowRank | None = None) -> Tensor:
        """(B, T, in) → (B, T, out), fp32."""
        if x.shape[1] == 1:
            y = self._single(x[:, 0])[:, None]
        else:
            narrow = x.to(self._weights[0].dtype)
            y = torch.cat([F.linear(narrow, weight) for weight in self._weights], dim=-1).float()
        return y if low_rank is None else torch.baddbmm(y, torch.bmm(x, low_rank[0]), low_rank[1])

    def low_rank(self, adapters: Sequence[Served]) -> LowRank | None:
        """The adapters' tensors for these layers side by side; None when none has any."""
        width = sum(len(weight) for weight in self._weights)
        found = [self._of(adapter) for adapter in adapters]
        rank = max(sum(len(down) for _, _, down, _ in one) for one in found)
        if rank == 0:
            return None
        into = torch.zeros(len(adapters), self._weights[0].shape[1], rank)
        out = torch.zeros(len(adapters), rank, width)
        for row, (adapter, parts) in enumerate(zip(adapters, found, strict=True)):
            at = 0
            for start, end, down, up in parts:
                into[row, :, at : at + len(down)] = down.T
                out[row, at : at + len(down), start:end] = adapter.scale * up.T
                at += len(down)
        return into, out

    def _of(self, adapter: Served) -> list[tuple[int, int, Tensor, Tensor]]:
        """(first output, last output, A (r, in), B (out, r)) for each layer that the adapter changes."""
        parts, start = [], 0
        for name, weight in zip(self._names, self._weights, strict=True):
            prefix, end = f"base_model.model.{name}", start + len(weight)
            if f"{prefix}.lora_A.weight" in adapter.tensors:
                parts.append((start, end, adapter.tensors[f"{prefix}.lora_A.weight"], adapter.tensors[f"{prefix}.lora_B.weight"]))
            start = end
        return parts


class _Norm:
    """Root mean square normalization in fp32: x · w / sqrt(|x|² / D + ε), with the roots of D drawn out to save operations."""

    def __init__(self, norm: Any) -> None:
        width = len(norm.weight)
        self._weight: Tensor = norm.weight.detach().float() * width**0.5
        self._epsilon = torch.tensor((norm.variance_epsilon * width) ** 0.5)

    def __call__(self, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return torch.div(x, torch.hypot(length, self._epsilon)).mul_(self._weight)


class _Block:
    """A transformer block."""

    def __init__(self, index: int, block: Any) -> None:
        self.groups = [
            _Group([f"model.layers.{index}.{name}" for name in group], list(group.values())) for group in _groups(block)
        ]
        self.qkv, self.out, self.gate_up, self.down = self.groups
        self.attention_norm = _Norm(block.input_layernorm)
        self.mlp_norm = _Norm(block.post_attention_layernorm)


class LeanDecoder:
    """A Llama-like model, ready to decode once it is prepared."""

    def __init__(self, model: Any) -> None:
        config = model.config
        self.heads: int = config.num_attention_heads
        self.key_heads: int = config.num_key_value_heads
        self.head_width: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.embedding: Tensor = model.get_input_embeddings().weight.detach()
        self.blocks: list[_Block] = []
        self._model = model

    def prepare(self) -> Iterator[None]:
        """Pack the weights; pauses after each block. Comes before anything else."""
        for index, block in enumerate(self._model.model.layers):
            with one_thread():
                self.blocks.append(_Block(index, block))
            yield None
        with one_thread():
            self.head = _Group(["lm_head"], [self._model.get_output_embeddings()])
        self.last_norm = _Norm(self._model.model.norm)

    def start(self, adapters: Sequence[Served]) -> LeanDecoding:
        """Begin a batch of empty sequences, one for each adapter."""
        return LeanDecoding(self, [[group.low_rank(adapters) for group in block.groups] for block in self.blocks], len(adapters))

    def loss(self, adapter: Served, example: Example) -> float:
        """Mean negative log-likelihood of an example's answer, in nats per token."""
        with torch.inference_mode():
            hidden = self.start([adapter]).read(torch.tensor([example.ids[:-1]]))
            logits = self.head(hidden[:, example.prompt_length - 1 :])[0]  # (N, V), N answer tokens
            return float(F.cross_entropy(logits, torch.tensor(example.ids[example.prompt_length :])))

    def mask(self, count: int, past: int) -> Tensor:
        """What each of `count` new tokens may see: itself and what came before, for each head that shares a key head."""
        seen = torch.ones(count, past + count, dtype=torch.bool).tril(past)
        return seen.repeat(self.heads // self.key_heads, 1)

    def rotation(self, length: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the rotary embedding, (length, E) each; the first half's sines have their sign turned."""
        cos, sin = self._model.model.rotary_emb(torch.zeros(1), torch.arange(length)[None])
        half = self.head_width // 2
        return cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=1)


def _room_for(tokens: int) -> int:
    return -(-tokens // CACHE_STEP) * CACHE_STEP


class LeanDecoding:
    """A batch of sequences of equal length with their keys and values."""

    def __init__(self, decoder: LeanDecoder, low_rank: list[list[LowRank | None]], rows: int) -> None:
        self._decoder = decoder
        self._low_rank = low_rank
        self.ids = torch.empty((rows, 0), dtype=torch.long)
        shape = (2, len(decoder.blocks), rows, decoder.key_heads, 0, decoder.head_width)
        self._cache = torch.empty(shape, dtype=decoder.embedding.dtype)  # keys, values: (2, blocks, B, K, room, E)
        self._cos = self._sin = torch.empty(0)

    def extend(self, ids: Tensor) -> Tensor:
        """Read tokens (B, T); the logits of what follows the last one, (B, V), fp32 on the CPU."""
        with torch.inference_mode():
            return self._decoder.head(self.read(ids)[:, -1:])[:, 0]

    def cut(self, length: int) -> None:
        """Forget all tokens after the first `length`; the memory they took is given back where it is much."""
        self.ids = self.ids[:, :length]
        room = _room_for(length)
        if 2 * room < self._cache.shape[4]:
            self._cache = self._cache[:, :, :, :, :room].clone()

    def read(self, ids: Tensor) -> Tensor:
        """Read tokens (B, T); the last hidden states, normalized, (B, T, D)."""
        past, count = self.ids.shape[1], ids.shape[1]
        self.ids = torch.cat([self.ids, ids], dim=1)
        self._make_room(past + count)
        cos, sin = self._cos[past : past + count], self._sin[past : past + count]  # (T, E)
        mask = None if count == 1 else self._decoder.mask(count, past)  # (H/K · T, S)
        x = F.embedding(ids, self._decoder.embedding).float()  # (B, T, D)
        for index, (block, low_rank) in enumerate(zip(self._decoder.blocks, self._low_rank, strict=True)):
            qkv = block.qkv(block.attention_norm(x), low_rank[0])
            seen = self._attend(index, qkv, cos, sin, mask)
            x = x + block.out(seen, low_rank[1])
            gate, up = block.gate_up(block.mlp_norm(x), low_rank[2]).chunk(2, dim=-1)
            x = x + block.down(F.silu(gate) * up, low_rank[3])
        return self._decoder.last_norm(x)

    def _attend(self, index: int, qkv: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """Turn queries and keys by their positions, keep keys and values, attend: (B, T, H · E)."""
        heads, shared, width = self._decoder.heads, self._decoder.key_heads, self._decoder.head_width
        rows, count, total = *qkv.shape[:2], self.ids.shape[1]
        states = qkv.view(rows, count, -1, width).transpose(1, 2)  # (B, H + 2K, T, E)
        plain = states[:, : heads + shared]
        turned = torch.addcmul(plain * cos, plain.roll(width // 2, -1), sin)
        keys, values = self._cache[:, index, :, :, :total]  # (B, K, S, E) each
        keys[:, :, total - count :] = turned[:, heads:]
        values[:, :, total - count :] = states[:, heads + shared :]
        # Heads that share a key head pass as more queries to it: several times as fast as repeating the keys for them.
        query = turned[:, :heads].reshape(rows, shared, -1, width).to(keys.dtype)  # (B, K, H/K · T, E)
        seen = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        return seen.reshape(rows, heads, count, width).transpose(1, 2).reshape(rows, count, -1).float()

    def _make_room(self, total: int) -> None:
        room = self._cache.shape[4]
        if total <= room:
            return
        shape = list(self._cache.shape)
        shape[4] = _room_for(total)
        grown = torch.empty(shape, dtype=self._cache.dtype)
        grown[:, :, :, :, :room] = self._cache
        self._cache = grown
        self._cos, self._sin = self._decoder.rotation(shape[4])
