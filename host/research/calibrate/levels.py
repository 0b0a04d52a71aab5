"""The weight levels that a stream can distinguish, and their product with each activation."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Float32, Int64
from dscim.gateware.specs import ProductSpec
from dscim.host.golden.reference.depthwise import tap_table
from dscim.host.golden.reference.matrix import region_thresholds
from dscim.host.golden.reference.operands import encode_activations, encode_weights


@cache
def levels_of(spec: ProductSpec, zero_point: int) -> "Levels":
    """The levels, cached."""
    return Levels(spec, zero_point)


class Levels:
    """The weight levels of one arithmetic (split, not exact), for activations of one zero point.

    values:  (levels,) float32, the average value of each, in weight integers, ascending.
    weights: (levels,) int8, the weight that is written for each.
    tables:  (tables, 256, levels) float32, product units by activation + 128.
    """

    def __init__(self, spec: ProductSpec, zero_point: int) -> None:
        self.values, self.weights = weight_levels(spec)
        thresholds = region_thresholds(spec).transpose(1, 0, 2)
        _, first, owner = np.unique(
            thresholds.reshape(len(thresholds), -1), axis=0, return_index=True, return_inverse=True
        )
        self._table_of = owner.ravel().astype(np.int64)
        self._width = spec.or_width
        self.tables = np.ascontiguousarray(
            np.stack(
                [
                    tap_table(self.weights, np.full(len(self.weights), row), spec, zero_point).T
                    for row in first
                ]
            ),
            np.float32,
        )

    def tables_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The index into `tables` of each of these rows of a product."""
        return self._table_of[rows % self._width]

    def index(self, weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
        """The index of the level of each of `weights`, which must be written values."""
        return np.searchsorted(self.weights, weights)

    def nearest(self, weights: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
        """The index of the level whose value is nearest to each of `weights`."""
        middles = (self.values[1:] + self.values[:-1]) / 2
        return np.searchsorted(middles, weights)


@cache
def weight_levels(spec: ProductSpec) -> tuple[Float32, npt.NDArray[np.int8]]:
    """The average value of each weight level, ascending, and the weight that is written for it.

    (levels,) float32 in weight integers, and (levels,) int8. With an exact product each of
    -127..127 is a level.
    """
    operands = np.arange(-127, 128).astype(np.int8)
    if spec.exact:
        return operands.astype(np.float32), operands
    magnitude, sign = encode_weights(operands, spec)
    value = _fired(magnitude, spec, 1) * sign.astype(np.float32) * 128
    if spec.signed == "offset":
        value = 2 * value - 128
    values = np.unique(value)
    nearest = np.abs(operands - values[:, None]) + np.where(value == values[:, None], 0, 999)
    return values, operands[nearest.argmin(axis=1)]


@cache
def activation_values(spec: ProductSpec, zero_point: int) -> Float32:
    """The average value of an activation as an integer x - z, (256,) float32 by x + 128."""
    operands = np.arange(-128, 128).astype(np.int8)
    if spec.exact:
        return operands.astype(np.float32) - zero_point
    magnitude, sign = encode_activations(operands, spec, zero_point)
    reach = sign.astype(np.float32) * (256 >> spec.activation_shift)
    value = _fired(magnitude, spec, 0) * reach
    return value - (128 + zero_point) if spec.signed == "offset" else value


def _fired(magnitude: Int64, spec: ProductSpec, axis: int) -> Float32:
    """The fraction, 0 to 1, of a region's points whose threshold on an axis each operand exceeds.

    The thresholds of a table are not evenly spaced; there it is the middle of each level.
    """
    thresholds = region_thresholds(spec)[axis]
    if spec.sequence.table:
        return _midway(magnitude, thresholds[0], spec.operand_shift)
    fired = (magnitude >> spec.operand_shift)[:, None, None] > thresholds
    return (fired.mean(axis=(1, 2)) * (thresholds.shape[1] / spec.samples)).astype(np.float32)


def _midway(magnitude: Int64, thresholds: npt.NDArray[np.uint8], shift: int) -> Float32:
    """The middle between the least operand of a level and that of the next, 0 to 1 for 0 to 256.

    Below the first level it is 0; the last level is taken to be as wide as the one before.
    """
    least = (np.unique(thresholds).astype(np.int64) + 1) << shift
    level = np.searchsorted(least, magnitude, side="right")
    steps = np.diff(least, prepend=0)
    middles = least + np.append(steps[1:], steps[-1]) / 2
    return (np.append(0, middles)[level] / 256).astype(np.float32)
