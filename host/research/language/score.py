"""How well a language model predicts the next token."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dscim.arrays import Float32, Int64


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """The score of logits (T, vocabulary) for each of several texts of tokens (T,).

    loss: mean negative log likelihood (nats) of all tokens but the first of each text.
    said: the most likely next token at every position, all texts concatenated.
    """

    loss: float
    said: Int64

    @classmethod
    def of(cls, logits: Sequence[Float32], texts: Sequence[Int64]) -> "Score":
        """The score; entries of `logits` beyond the number of texts are ignored."""
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
        """The share of positions with the same predicted token, 0 to 1."""
        return float((self.said == other.said).mean())
