"""GGUF files, as far as a LLaMA of the types F32, Q8_0 and Q4_1 needs them.

The format: github.com/ggml-org/ggml, docs/gguf.md; the blocks: ggml-quants.c.
"""

import math
import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Float32
from dscim.errors import UserError

BLOCK = 32
"""Weights of a block of Q8_0 and Q4_1."""

SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
STRING, ARRAY = 8, 9

BLOCKS: dict[int, tuple[str, Any]] = {
    3: ("Q4_1", [("scale", "<f2"), ("least", "<f2"), ("values", "u1", BLOCK // 2)]),
    8: ("Q8_0", [("scale", "<f2"), ("values", "i1", BLOCK)]),
}
"""Quantised types: the fields of a block."""


class GgufFile:
    """Metadata by key, tensors by name; tensors are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        """Reads the head of `path`; UserError where it is no GGUF file of version 2 or 3."""
        self.path = path
        self.metadata: dict[str, Any] = {}
        try:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._at = 0
            self._read_head()
        except (
            OSError,
            ValueError,
            TypeError,
            LookupError,
            ArithmeticError,
            RecursionError,
            struct.error,
        ) as error:
            raise UserError(
                f"'{path}' is no GGUF file that can be read ({error}); give one of version 2 or 3."
            ) from error

    def tensor(self, name: str) -> Float32:
        """The tensor as float32, rows first; UserError where it is not there or of another type."""
        if name not in self._tensors:
            raise UserError(f"'{self.path}' has no tensor {name!r}; it must hold a LLaMA.")
        shape, kind, offset = self._tensors[name]
        if kind != 0 and kind not in BLOCKS:
            raise UserError(
                f"Tensor {name!r} of '{self.path}' has GGUF's type {kind}; F32, Q8_0 "
                "and Q4_1 are read: convert the file."
            )
        count = math.prod(shape)
        try:
            if kind == 0:
                return np.frombuffer(self._data, "<f4", count, offset).reshape(shape)
            blocks = np.frombuffer(self._data, np.dtype(BLOCKS[kind][1]), count // BLOCK, offset)
            return _values(BLOCKS[kind][0], blocks).reshape(shape)
        except (ValueError, OverflowError) as error:
            raise UserError(
                f"Tensor {name!r} of '{self.path}' does not lie in the file: it is cut, or damaged."
            ) from error

    def _read_head(self) -> None:
        if self._data[:4] != b"GGUF":
            raise ValueError(f"it begins with {self._data[:4]!r}")
        self._at = 4
        version, tensors, keys = self._scalar("<I"), self._scalar("<Q"), self._scalar("<Q")
        if version not in (2, 3):
            raise ValueError(f"version {version}")
        for _ in range(keys):
            key = self._string()
            self.metadata[key] = self._value(self._scalar("<I"))
        found = {}
        for _ in range(tensors):
            name, axes = self._string(), self._scalar("<I")
            shape = tuple(self._scalar("<Q") for _ in range(axes))[::-1]
            found[name] = (shape, self._scalar("<I"), self._scalar("<Q"))
        unit = self.metadata.get("general.alignment", 32)
        start = -(-self._at // unit) * unit
        self._tensors = {
            name: (shape, kind, start + offset) for name, (shape, kind, offset) in found.items()
        }

    def _scalar(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def _string(self) -> str:
        length = self._scalar("<Q")
        if length > len(self._data) - self._at:
            raise ValueError("a string is longer than the file")
        self._at += length
        return self._data[self._at - length : self._at].decode()

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            inner, length = self._scalar("<I"), self._scalar("<Q")
            if length > len(self._data) - self._at:
                raise ValueError("an array is longer than the file")
            return [self._value(inner) for _ in range(length)]
        return self._scalar(SCALARS[kind])


def _values(kind: str, blocks: npt.NDArray[Any]) -> Float32:
    """(blocks, 32) float32 of quantised blocks."""
    scale = blocks["scale"].astype(np.float32)[:, None]
    if kind == "Q8_0":
        return scale * blocks["values"].astype(np.float32)
    packed = blocks["values"]
    both = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)
    return scale * both + blocks["least"].astype(np.float32)[:, None]
