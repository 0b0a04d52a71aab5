"""Byte-level byte-pair encoding as in GPT-2, with single digits as in SmolLM2."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

DIGIT = re.compile(r"(\d)")
WORD = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")
"""GPT-2's pieces of a text without digits: a space belongs to the word after it."""


def _byte_letters() -> dict[int, str]:
    """The letter of each byte in the vocabulary; printable ones represent themselves."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {byte: chr(byte) for byte in shown} | {
        byte: chr(256 + place) for place, byte in enumerate(hidden)
    }


class Tokenizer:
    """Text to token numbers and back; special tokens are not recognised in text."""

    def __init__(self, tokens: Sequence[str], merges: Sequence[str]) -> None:
        """tokens: in the order of their numbers; merges: "left right", the first has priority."""
        self._tokens = list(tokens)
        self._number = {token: number for number, token in enumerate(tokens)}
        self._rank = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}
        self._letters = _byte_letters()
        self._bytes = {letter: byte for byte, letter in self._letters.items()}
        self._merged = lru_cache(maxsize=1 << 16)(self._merge)

    def encode(self, text: str) -> list[int]:
        """The token numbers of a text."""
        return [number for piece in _pieces(text) for number in self._merged(piece)]

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of token numbers; bytes that are not UTF-8 become U+FFFD."""
        letters = "".join(self._tokens[number] for number in numbers)
        return bytes(self._bytes[letter] for letter in letters).decode(errors="replace")

    def _merge(self, piece: str) -> tuple[int, ...]:
        parts = [self._letters[byte] for byte in piece.encode()]
        while len(parts) > 1:
            ranks = [self._rank.get(pair, len(self._rank)) for pair in pairwise(parts)]
            least = min(ranks)
            if least == len(self._rank):
                break
            place = ranks.index(least)
            parts[place : place + 2] = ["".join(parts[place : place + 2])]
        return tuple(self._number[part] for part in parts)


def _pieces(text: str) -> Iterator[str]:
    for part in DIGIT.split(text):
        if part.isdigit():
            yield part
        else:
            yield from WORD.findall(part)
