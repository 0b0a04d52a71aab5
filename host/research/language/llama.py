"""The LLaMA architecture in numpy: RMSNorm, rotary positions, grouped queries, SwiGLU.

All positions are computed at once, layer by layer. Products with weights go through `Multiply`;
norms, the products inside attention, the embedding and the output are float32.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dscim.arrays import Float32, Int64
from dscim.errors import UserError
from dscim.host.research.language.aligned import matmul
from dscim.host.research.language.model_file import NAME, GgufFile
from dscim.host.research.language.tokenizer import Tokenizer
from dscim.progress import Tick

Multiply = Callable[[Float32, Float32], Float32]
"""x @ weights.T, (M, N), for x (M, K) and weights (N, K)."""


Tap = Callable[[str, Float32], None]
"""Receives a matrix's name and the activations it is multiplied with, (positions, K)."""


MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
"""The matrices of a block, by their names in a GGUF file."""


def plain(x: Float32, weights: Float32) -> Float32:
    """The float32 product."""
    return matmul(x, weights.T)


@dataclasses.dataclass(frozen=True)
class Shape:
    """Blocks, width, heads of queries and of keys, base of positions, epsilon of a model."""

    blocks: int
    width: int
    heads: int
    key_heads: int
    base: float
    epsilon: float

    @classmethod
    def of(cls, file: GgufFile) -> "Shape":
        """The shape in the file's metadata; UserError if it is missing there."""
        names = (
            "block_count",
            "embedding_length",
            "attention.head_count",
            "attention.head_count_kv",
            "rope.freq_base",
            "attention.layer_norm_rms_epsilon",
        )
        values: list[Any] = [file.metadata.get(f"llama.{name}") for name in names]
        if not all(isinstance(value, int | float) and value > 0 for value in values):
            raise UserError(
                f"'{file.path}' does not have the shape of its LLaMA: "
                f"{dict(zip(names, values, strict=True))}."
            )
        return cls(*values)

    @property
    def head(self) -> int:
        """Channels of a head."""
        return self.width // self.heads


class Llama:
    """A model; its weights are read from its file when they are needed."""

    def __init__(self, file: GgufFile) -> None:
        self.file, self.shape = file, Shape.of(file)

    def logits(
        self, sequences: Sequence[Int64], multiply: Multiply = plain, step: Tick | None = None
    ) -> list[Float32]:
        """(T, vocabulary) for each sequence of tokens (T,); position t has seen tokens 0..t."""
        embedding = self.file.tensor("token_embd.weight")
        x = embedding[np.concatenate(sequences)]
        ends = list(np.cumsum([len(each) for each in sequences])[:-1])
        for block in range(self.shape.blocks):
            x = self._block(block, x, ends, multiply)
            if step:
                step(block + 1, self.shape.blocks)
        x = self._norm(x, "output_norm")
        return np.split(matmul(x, embedding.T), ends)  # tied: the output's matrix is the embedding

    def entering(self, tokens: Int64, block: int) -> dict[str, Float32]:
        """The inputs (T, K) of each matrix of a block, by name, in float32."""
        found: dict[str, Float32] = {}
        x = self.file.tensor("token_embd.weight")[tokens]
        for place in range(block + 1):
            x = self._block(place, x, [], plain, found.__setitem__ if place == block else None)
        return found

    def matrix(self, block: int, name: str) -> Float32:
        """The weights (N, K) of a block's matrix, a name of MATRICES."""
        return self.file.tensor(f"blk.{block}.{name}.weight")

    def _block(
        self, block: int, x: Float32, ends: list[int], multiply: Multiply, tap: Tap | None = None
    ) -> Float32:
        def times(rows: Float32, name: str) -> Float32:
            if tap:
                tap(name, rows)
            return multiply(rows, self.matrix(block, name))

        inner = self._norm(x, f"blk.{block}.attn_norm")
        mixed = [
            self._attention(*each)
            for each in zip(
                *(np.split(times(inner, name), ends) for name in MATRICES[:3]), strict=True
            )
        ]
        x = x + times(np.concatenate(mixed), "attn_output")
        inner = self._norm(x, f"blk.{block}.ffn_norm")
        gate = times(inner, "ffn_gate")
        swish = (gate / (1 + np.exp(-gate, dtype=np.float64))).astype(np.float32)
        return x + times(swish * times(inner, "ffn_up"), "ffn_down")

    def _norm(self, x: Float32, name: str) -> Float32:
        mean = np.mean(np.square(x, dtype=np.float64), axis=-1, keepdims=True)
        root = np.sqrt(mean + self.shape.epsilon).astype(np.float32)
        return x / root * self.file.tensor(f"{name}.weight")

    def _attention(self, queries: Float32, keys: Float32, values: Float32) -> Float32:
        """(T, width): each head of queries attends to the keys up to its own position."""
        shape, count = self.shape, len(queries)
        q = _turned(queries.reshape(count, shape.heads, shape.head), shape.base)
        k = _turned(keys.reshape(count, shape.key_heads, shape.head), shape.base)
        v = values.reshape(count, shape.key_heads, shape.head)
        k, v = (np.repeat(each, shape.heads // shape.key_heads, axis=1) for each in (k, v))
        scores = matmul(q.transpose(1, 0, 2), k.transpose(1, 2, 0)) / np.float32(shape.head**0.5)
        scores = np.where(np.tri(count, dtype=bool), scores, np.float32(-np.inf))
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True), dtype=np.float64)
        shares /= shares.sum(axis=-1, keepdims=True)
        mixed = matmul(shares.astype(np.float32), v.transpose(1, 0, 2))
        return mixed.transpose(1, 0, 2).reshape(count, -1)


def _turned(x: Float32, base: float) -> Float32:
    """Rotary positions of (T, heads, channels) in GGUF's order: neighbours are a pair."""
    count, _, channels = x.shape
    rate = base ** (-np.arange(0, channels, 2) / channels)
    angle = np.arange(count)[:, None, None] * rate
    cosine, sine = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    even, odd = x[..., ::2], x[..., 1::2]
    return np.stack([even * cosine - odd * sine, even * sine + odd * cosine], -1).reshape(x.shape)


@cache
def load_model(path: Path) -> tuple[Llama, Tokenizer]:
    """The model and tokenizer of a GGUF file; UserError for another architecture than LLaMA."""
    file = GgufFile(path)
    values = file.metadata
    kind = values.get("general.architecture"), values.get("tokenizer.ggml.model")
    if kind != ("llama", "gpt2"):
        raise UserError(
            f"'{path}' has the architecture {kind[0]!r} with the tokenizer {kind[1]!r}; it must "
            f"be llama with gpt2, as in {NAME}."
        )
    lists: list[Any] = [values.get(f"tokenizer.ggml.{name}") for name in ("tokens", "merges")]
    if not all(isinstance(each, list) for each in lists):
        raise UserError(f"'{path}' has no tokens, or no merges of tokens.")
    return Llama(file), Tokenizer(*lists)
