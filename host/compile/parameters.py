"""The integers of a layer, checked before they are sent to a device."""

import dataclasses

import numpy as np

from dscim.arrays import Int8, Int32
from dscim.errors import UserError

SHIFTS = range(-31, 31)
"""The shifts that the requantiser supports."""


@dataclasses.dataclass(frozen=True, eq=False)
class LayerParameters:
    """A layer's integers.

    weights:    (outputs, KH, KW, C) int8, OHWI.
    bias:       (outputs,) int32, in product units.
    multiplier: (outputs,) int32, Q31, not negative.
    shift:      (outputs,) int32, -31..30, positive = left; a left shift must keep the greatest
                possible sum within 32 bits.
    Raises UserError if an array is anything else.
    """

    weights: Int8
    bias: Int32
    multiplier: Int32
    shift: Int32

    def __post_init__(self) -> None:
        if self.weights.dtype != np.int8 or self.weights.ndim != 4:
            raise UserError(
                f"A layer's weights must be int8 with four axes (O, H, W, I), not "
                f"{self.weights.dtype} of shape {self.weights.shape}."
            )
        for name in ("bias", "multiplier", "shift"):
            values = getattr(self, name)
            if values.dtype != np.int32 or values.shape != (len(self.weights),):
                raise UserError(
                    f"A layer's {name} must be int32 of shape "
                    f"({len(self.weights)},), not {values.dtype} of {values.shape}."
                )
        if (self.multiplier < 0).any():
            raise UserError(
                f"A multiplier of {self.multiplier.min()} is negative; Q31 "
                "multipliers range from 0 to 2147483647."
            )
        self._check_shift()

    def _check_shift(self) -> None:
        outside = ~np.isin(self.shift, SHIFTS)
        if outside.any():
            raise UserError(
                f"A shift of {self.shift[outside][0]} is outside {SHIFTS[0]}..{SHIFTS[-1]}."
            )
        depth = self.weights[0].size
        most = depth * (1 << 16) + np.abs(self.bias.astype(np.int64))
        wraps = (self.shift > 0) & (most << np.maximum(self.shift, 0) >= 1 << 31)
        if wraps.any():
            raise UserError(
                f"A left shift of {self.shift[wraps][0]} could carry sums of {depth} "
                "products out of 32 bits; use a smaller scale."
            )
