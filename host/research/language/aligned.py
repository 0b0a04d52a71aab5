"""Matrix products of FP8 (E4M3) numbers on an integer macro, which multiplies aligned mantissas.

As in arXiv 2602.05743, the numbers of a tile share the exponent of the largest; each mantissa is
shifted to it, rounded half to even, and multiplied as an integer.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dscim.arrays import Float32, Int8
from dscim.gateware.specs import LayerSpec, ProductSpec, table_gain
from dscim.host.golden.emulator import PreparedNode, estimate, over_images, prepare

ROWS = 128
"""Inputs of a tile, which share an exponent: the rows of the macro."""

BATCH = 64
"""Input vectors per task of a thread."""

Int = npt.NDArray[np.int32]

LARGEST = 448.0
"""The largest E4M3 number, 1.75 * 2**8: no infinities, one NaN."""

MIN_EXPONENT = -6
"""The smallest exponent of a normal number; smaller numbers have the step of this exponent."""

MANTISSA_BITS = 3

TOP = 6
"""The largest aligned mantissa of a tile has its highest bit here: 64..127 in magnitude."""


def matmul(a: Float32, b: Float32) -> Float32:
    """a @ b in float32, added up in float64 and rounded once, so that all machines agree.

    The order of float32 sums in a linear algebra library depends on threads and processor, and
    rounding to FP8 turns differences in the last bit into whole steps. In float64 the order almost
    never has an effect after rounding.
    """
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)


def exponents(values: Float32) -> Int:
    """floor(log2 |v|) of each value; for 0, a number far below all others."""
    return np.where(values == 0, -1000, np.frexp(values)[1] - 1).astype(np.int32)


def round_e4m3(values: Float32) -> Float32:
    """The nearest E4M3 number of each value, half to even, saturated at the largest."""
    steps = np.maximum(exponents(values), MIN_EXPONENT) - MANTISSA_BITS
    rounded = np.ldexp(np.rint(np.ldexp(values, -steps)), steps)
    return np.clip(rounded, -LARGEST, LARGEST).astype(np.float32)


def scale_exponents(values: Float32) -> Int:
    """(M, 1) for rows (M, K): the greatest s with |v| * 2**s <= 448 for the whole row."""
    most = np.abs(values).max(axis=1, keepdims=True)
    room = np.where(most == 0, 1.0, LARGEST / np.maximum(most, np.float32(1e-30)))
    return exponents(room.astype(np.float32))


def to_fp8(values: Float32) -> tuple[Float32, Int]:
    """(M, K) rows scaled by 2**s, as E4M3 numbers, and s (M, 1)."""
    scale = scale_exponents(values)
    return round_e4m3(np.ldexp(values, scale)), scale


def align(values: Float32) -> tuple[npt.NDArray[np.int8], Int]:
    """(M, K) numbers of one tile as int8 mantissas m, and the exponent e (M, 1) of each row.

    v is about m * 2**e; e is chosen so that the row's largest |m| is in 64..127.
    """
    shared = exponents(values).max(axis=1, keepdims=True) - TOP
    shared = np.maximum(shared, -200)  # a row of zeros: any exponent will do
    # E4M3 numbers give at most 1.875 * 64; for others, 127.5 and more would round to 128.
    return np.clip(np.rint(np.ldexp(values, -shared)), -127, 127).astype(np.int8), shared


def rotated(values: Float32) -> Float32:
    """(M, K) rows with each tile multiplied by a Hadamard matrix H / sqrt(size).

    x H (w H)^T = x w^T: products keep their values, but each channel is spread over a whole tile,
    so that mantissas fill their range as Gaussian numbers do (QuaRot, arXiv 2404.00456, does this
    for whole vectors). ValueError if a tile's size is not a power of two.
    """
    parts = []
    for start in range(0, values.shape[1], ROWS):
        part = values[:, start : start + ROWS]
        size = part.shape[1]
        if size & (size - 1):
            raise ValueError(
                f"A tile of {size} inputs has no Hadamard matrix; its size must be a power of two."
            )
        turn = np.ones((1, 1), np.float32)
        while len(turn) < size:
            turn = np.block([[turn, turn], [turn, -turn]])
        parts.append(matmul(part, turn / np.float32(size**0.5)))
    return np.concatenate(parts, axis=1)


class Tiles:
    """Rows (M, K) as E4M3, one scale per row, mantissas aligned tile by tile."""

    def __init__(self, values: Float32) -> None:
        numbers, self._scale = to_fp8(values)
        self._parts = [
            align(numbers[:, start : start + ROWS]) for start in range(0, numbers.shape[1], ROWS)
        ]

    def __iter__(self) -> Iterator[tuple[Int8, Int]]:
        """Each tile's mantissas (M, up to ROWS), and the power of two of each row (M, 1)."""
        for mantissas, exponent in self._parts:
            yield mantissas, exponent - self._scale


class AlignedWeights:
    """Weights (N, K) prepared for products in one arithmetic."""

    def __init__(self, weights: Float32, spec: ProductSpec) -> None:
        """spec: of the mantissas' product; K is at most 32,767 in all."""
        self._gain = np.float32(1 if spec.exact else table_gain(spec.sequence, spec.samples))
        self._tiles = [
            (_prepared(mantissas, spec), exponent.T) for mantissas, exponent in Tiles(weights)
        ]

    def product(self, x: Float32) -> Float32:
        """x @ weights.T, (M, N), for x (M, K).

        The estimates of all tiles are scaled, added in float32, and multiplied by the gain of the
        sequence table.
        """
        parts = list(Tiles(x))

        def rows(part: slice) -> Float32:
            total = np.float32(0)
            for (mantissas, exponent), (node, shared) in zip(parts, self._tiles, strict=True):
                sums = estimate(node, mantissas[part, None, None, :])[:, 0, 0, :]
                total = total + np.ldexp(sums, exponent[part] + shared)
            return np.asarray(self._gain * total, np.float32)

        return np.concatenate(over_images(rows, len(x), BATCH))


def _prepared(mantissas: Int8, spec: ProductSpec) -> PreparedNode:
    """A tile of weights (N, K) as a 1x1 layer; its estimates are exact in float32."""
    outputs, depth = mantissas.shape
    nothing = np.zeros(outputs, np.int32)
    layer = LayerSpec((1, 1, depth), outputs, product=spec)
    return prepare(layer, mantissas.reshape(outputs, 1, 1, depth), nothing, nothing, nothing)


class Aligned:
    """A `Multiply` for a model; it prepares the weights again at each call."""

    def __init__(self, spec: ProductSpec, turned: bool = False) -> None:
        """turned: both operands are `rotated` before conversion to FP8."""
        self.spec, self.turned = spec, turned

    def __call__(self, x: Float32, weights: Float32) -> Float32:
        """x @ weights.T, (M, N), for x (M, K) and weights (N, K)."""
        if self.turned:
            x, weights = rotated(x), rotated(weights)
        return AlignedWeights(weights, self.spec).product(x)
