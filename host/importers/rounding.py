"""A single rounding in the integers of a double one.

TensorFlow Lite's reference FULLY_CONNECTED rounds sum * scale once, in double precision; the
contract's requantisation rounds twice: to 31 - shift bits, then to the output. With a shift of 0
the second rounding does nothing, so multiplier = scale * 2**31 rounds once; what it lacks is
precision. Whether that is enough is counted here over every sum that the layer can reach.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from dscim.host.network.scaling import quantise_multiplier
from dscim.host.reference import multiply_by_quantized_multiplier

Int64 = npt.NDArray[np.int64]

TRIED = 1 << 23
"""Sums of a layer that are tried one by one, all its scales together: about a second."""


def single_rounding(real: float, least: int, most: int, tried: int = TRIED
                    ) -> tuple[int, int, float]:
    """Multiplier and shift by which most sums in least..most round as round(sum * real) does.

    Returns also the share of those sums, between saturation on both sides, that round to
    another integer: 0.0 means that no input whatever can tell the difference. Of more than
    `tried` sums, as many that are evenly spread are tried, and the share is at least what the
    multiplier's lack of precision lets expect.
    """
    bound = int(min(260 / real, 2.0**31)) if real > 0 else 0
    least, most = max(least, -bound), min(most, bound)
    step = max(1, -(-(most - least + 1) // tried))
    sums = np.arange(least, most + 1, step)
    scaled = sums * real
    wanted = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled).astype(np.int64)
    best = (0, 0, 2.0)
    for multiplier, shift in _candidates(real):
        made = multiply_by_quantized_multiplier(sums, np.array(multiplier), np.array(shift))
        wrong = float(np.mean(made != wanted)) if len(sums) else 0.0
        if step > 1:
            lack = abs(multiplier * 2.0**(shift - 31) - real)
            wrong = max(wrong, float(np.abs(sums).mean()) * lack)
        if wrong < best[2]:
            best = (multiplier, shift, wrong)
        if not wrong:
            break
    return best


def _candidates(real: float) -> Iterable[tuple[int, int]]:
    """Multipliers near real * 2**31 with a shift of 0; then those of the kernels."""
    nearest = int(real * 2.0**31 + 0.5)
    for multiplier in (nearest, nearest + 1, nearest - 1):
        if 0 <= multiplier < 1 << 31:
            yield multiplier, 0
    multipliers, shifts = quantise_multiplier([real])
    yield int(multipliers[0]), int(shifts[0])


def once_rounded(real: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int32],
                                                        npt.NDArray[np.int32]]:
    """Multipliers and shifts that round once where that is the more exact way: from 2**-12 on."""
    multiplier, shift = quantise_multiplier(real)
    once = (real >= 2.0**-12) & (real < 1)
    single = np.minimum(np.floor(real * 2.0**31 + 0.5), 2**31 - 1)
    return (np.where(once, single, multiplier).astype(np.int32),
            np.where(once, 0, shift).astype(np.int32))


def reach(weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int32], zero: int
          ) -> tuple[Int64, Int64]:
    """The least and the greatest sum of each output, (outputs,), over all int8 inputs.

    weights: (outputs, inputs). zero: the input's zero point.
    """
    wide = weights.astype(np.int64)
    positive, negative = np.maximum(wide, 0).sum(axis=1), np.minimum(wide, 0).sum(axis=1)
    low, high = -128 - zero, 127 - zero
    return (positive * low + negative * high + bias, positive * high + negative * low + bias)
