"""Distributions of operands, and their moments above a threshold."""

import dataclasses
from math import erf, sqrt

import numpy as np
import numpy.typing as npt

from dscim.arrays import Float64
from dscim.gateware.specs import ProductSpec
from dscim.host.golden.reference.operands import encode_activations, encode_weights

INTEGERS = np.arange(-128, 128)
SIGMA = 32.0
"""Sigma of Gaussian operands, a quarter of int8's range."""


@dataclasses.dataclass(frozen=True, eq=False)
class Distribution:
    """Independent int8 operands: (256,) probabilities of -128..127; zero point of activations."""

    name: str
    activations: Float64
    weights: Float64
    zero_point: int = 0


def _gaussian(sigma: float) -> Float64:
    """Probabilities of a Gaussian rounded to integers; -128 and 127 include the tails."""
    edges = np.array([0.5 * (1 + erf((x - 0.5) / sigma / sqrt(2))) for x in range(-127, 128)])
    return np.diff(edges, prepend=0.0, append=1.0)


def _rectified(sigma: float) -> Float64:
    """Probabilities of max(0, a Gaussian) as int8 with the zero point -128."""
    edges = [0.5 * (1 + erf((x - 0.5) / sigma / sqrt(2))) for x in range(1, 256)]
    return np.diff(np.array(edges), prepend=0.0, append=1.0)


UNIFORM = Distribution("uniform", np.full(256, 1 / 256), np.full(256, 1 / 256))
GAUSSIAN = Distribution("Gaussian", _gaussian(SIGMA), _gaussian(SIGMA))
WIDE = Distribution("wide Gaussian", _gaussian(2 * SIGMA), _gaussian(2 * SIGMA))
RELU = Distribution("post-ReLU", _rectified(2 * SIGMA), _gaussian(SIGMA), -128)
DISTRIBUTIONS = (UNIFORM, GAUSSIAN, RELU)
"""The distributions of the studies; post-ReLU: half of the activations are 0, the others 1..255."""


@dataclasses.dataclass(frozen=True, eq=False)
class Axis:
    """One operand as its comparators see it, (256,) each by the local threshold p.

    fires: E[1{level > p}]; signed: the same with the operand's sign; valued: E[sign * v *
    1{level > p}] with v the operand's true value. mean, square: E[v], E[v*v].
    """

    fires: Float64
    signed: Float64
    valued: Float64
    mean: float
    square: float


def axes(
    spec: ProductSpec, operands: Distribution, truncated: bool = False, bits: int | None = None
) -> tuple[Axis, Axis]:
    """The axes of activations and of weights.

    The true values are x - z and w in split, and a' and w' in offset, where corrections are exact.
    truncated: offset only; true values lack the bits that the region drops.
    bits: number of an operand's bits that are compared; None: those that the region keeps.
    """
    int8 = INTEGERS.astype(np.int8)
    a, a_sign = encode_activations(int8, spec, operands.zero_point)
    w, w_sign = encode_weights(int8, spec)
    if spec.signed == "offset":
        keep = spec.operand_shift if truncated else 0
        a_true, w_true = a >> keep << keep, w >> keep << keep
    else:
        a_true, w_true = INTEGERS - operands.zero_point, INTEGERS
    shift = spec.operand_shift if bits is None else 8 - bits
    return (
        _axis(a >> shift, a_sign, a_true, operands.activations),
        _axis(w >> shift, w_sign, w_true, operands.weights),
    )


def _axis(
    level: npt.NDArray[np.int64],
    sign: npt.NDArray[np.int64],
    true: npt.NDArray[np.int64],
    probability: Float64,
) -> Axis:
    above = level[None] > np.arange(256)[:, None]
    return Axis(
        above @ probability,
        above @ (probability * sign),
        above @ (probability * sign * true),
        float(probability @ true),
        float(probability @ true**2),
    )
