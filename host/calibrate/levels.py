"""The weights that a stream can tell apart, and what each gives for each activation."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs import ProductSpec
from dscim.host.reference.depthwise import tap_table
from dscim.host.reference.matrix import region_thresholds
from dscim.host.reference.operands import encode_weights

Float = npt.NDArray[np.float32]


@cache
def levels_of(spec: ProductSpec, zero_point: int) -> "Levels":
    """The levels, made once."""
    return Levels(spec, zero_point)


class Levels:
    """The weight levels of one arithmetic (split, not exact), for activations of one zero point.

    values:  (levels,) float32, what each stands for on average, in weight integers, rising.
    weights: (levels,) int8, the weight that is written for it.
    tables:  (tables, 256, levels) float32, product units by activation + 128.
    """

    def __init__(self, spec: ProductSpec, zero_point: int) -> None:
        self.values, self.weights = _levels(spec)
        thresholds = region_thresholds(spec).transpose(1, 0, 2)
        _, first, owner = np.unique(
            thresholds.reshape(len(thresholds), -1), axis=0, return_index=True,
            return_inverse=True)
        self._table_of = owner.ravel().astype(np.int64)
        self._width = spec.or_width
        self.tables = np.ascontiguousarray(np.stack([
            tap_table(self.weights, np.full(len(self.weights), row), spec, zero_point).T
            for row in first]), np.float32)

    def tables_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The table of each of these rows of a product."""
        return self._table_of[rows % self._width]

    def index(self, weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
        """The level that each of `weights`, as they are written, is on."""
        return np.searchsorted(self.weights, weights)

    def nearest(self, weights: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
        """The index of the level whose value is nearest to each of `weights`."""
        middles = (self.values[1:] + self.values[:-1]) / 2
        return np.searchsorted(middles, weights)


def _levels(spec: ProductSpec) -> tuple[Float, npt.NDArray[np.int8]]:
    """Values and weights of the levels, rising, from the thresholds of the first region."""
    operands = np.arange(-127, 128).astype(np.int8)
    magnitude, sign = encode_weights(operands, spec)
    q = region_thresholds(spec)[1]
    fired = ((magnitude >> spec.operand_shift)[:, None, None] > q).mean(axis=(1, 2)) * q.shape[1]
    value = (sign * fired * 128 / spec.samples).astype(np.float32)
    values = np.unique(value)
    nearest = np.abs(operands - values[:, None]) + np.where(value == values[:, None], 0, 999)
    written = operands[nearest.argmin(axis=1)]
    return values, written
