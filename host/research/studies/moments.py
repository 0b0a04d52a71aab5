"""The error of a product from the moments of its rows: exact, without enumerating operands.

A row counts T = sum over s of sign * 1{a > p_s} 1{w > q_s}. With independent operands
E[T] = sum P_s Q_s, E[T v] = sum U_s V_s and E[T T] = sum over s, t of A(max(p_s, p_t)) *
B(max(q_s, q_t)): the error is a quadratic form of the point set, its (weighted) L2 discrepancy.
Operands of different rows are independent, so their variances add up, and their means add up before
they are squared.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs import ProductSpec
from dscim.host.golden.reference.matrix import region_thresholds
from dscim.host.research.studies.operands import Axis, Distribution, axes


@dataclasses.dataclass(frozen=True)
class Moments:
    """Moments of a group of rows, summed over the rows, in product units.

    bias: E[t - v], t the estimate and v the true product. spread: Var[t - v].
    estimate: Var[t]; both: Cov[t, v]; true: Var[v].
    """

    bias: float
    spread: float
    estimate: float
    both: float
    true: float


def group_moments(points: npt.NDArray[np.integer], decode: float, a: Axis, w: Axis) -> Moments:
    """Moments of one OR group. points: (2, G, m) local thresholds; decode: the value of a count."""
    p, q = points.astype(np.intp)
    mean = decode * (a.signed[p] * w.signed[q]).sum(axis=1)
    both = decode * (a.valued[p] * w.valued[q]).sum(axis=1)
    pairs = a.fires[np.maximum(p[:, :, None], p[:, None])]
    pairs *= w.fires[np.maximum(q[:, :, None], q[:, None])]
    square = decode**2 * pairs.sum(axis=(1, 2))
    true = a.mean * w.mean
    variance = square - mean**2
    covariance = both - mean * true
    true_variance = a.square * w.square - true**2
    return Moments(
        float((mean - true).sum()),
        float((variance - 2 * covariance + true_variance).sum()),
        float(variance.sum()),
        float(covariance.sum()),
        len(p) * true_variance,
    )


def moments(spec: ProductSpec, operands: Distribution, truncated: bool = False) -> Moments:
    """Moments of one OR group in the arithmetic `spec`."""
    return group_moments(
        region_thresholds(spec), float(1 << spec.decode_shift), *axes(spec, operands, truncated)
    )


def rms(groups: int, each: Moments) -> float:
    """The rms error of `groups` groups with the same points, in product units."""
    return float(np.sqrt(groups * each.spread + (groups * each.bias) ** 2))


def percent(error: float, rows: int) -> float:
    """An rms error in % of rows * 65536."""
    return 100 * error / (rows * 65536)


def scaled_rms(groups: int, each: Moments) -> tuple[float, float]:
    """The rms error with the best gain and bias of the whole product, and that gain.

    Both can be folded into the multiplier and bias of requantisation.
    """
    gain = each.both / each.estimate if each.estimate else 0.0
    return float(np.sqrt(groups * max(each.true - gain * each.both, 0.0))), gain


def snr(operands: Distribution, rows: int, error: float) -> float:
    """Ratio of the signed product's power to that of an rms error, in dB."""
    spec = ProductSpec()
    a, w = axes(spec, operands)
    signal = rows * (a.square * w.square - (a.mean * w.mean) ** 2) + (rows * a.mean * w.mean) ** 2
    return float(10 * np.log10(signal / error**2)) if error else float("inf")
