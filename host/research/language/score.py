"""How well a language model says what comes next."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dscim.arrays import Float32, Int64


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """Of logits (T, vocabulary) for each of several texts' tokens (T,).

    loss: mean negative log likelihood (nats) of the tokens behind the first of each text.
    said: the likeliest next token at every position, one line.
    """

    loss: float
    said: Int64

    @classmethod
    def of(cls, logits: Sequence[Float32], texts: Sequence[Int64]) -> "Score":
        """The score; `logits` may go on behind the texts' own."""
        losses, said = [], []
        for values, tokens in zip(logits, texts, strict=False):
            wide = values - values.max(axis=1, keepdims=True)
            total = np.log(np.exp(wide).sum(axis=1))
            losses.append(total[:-1] - wide[np.arange(len(tokens) - 1), tokens[1:]])
            said.append(values.argmax(axis=1))
        return cls(float(np.concatenate(losses).mean()), np.concatenate(said))

    @property
    def perplexity(self) -> float:
        """exp of the loss."""
        return float(np.exp(self.loss))

    def agreement(self, other: "Score") -> float:
        """The share of positions at which both say the same token."""
        return float((self.said == other.said).mean())
