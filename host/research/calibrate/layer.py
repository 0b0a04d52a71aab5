"""One layer: its activation shift, and the weights, gain and bias of each channel."""

import dataclasses

import numpy as np
import numpy.typing as npt

from dscim.arrays import Floats, Int8
from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.host.network import Weighted
from dscim.host.research.calibrate.descent import Descent
from dscim.host.research.calibrate.fit import aims, error, gain_and_bias, power
from dscim.host.research.calibrate.levels import levels_of
from dscim.host.research.calibrate.samples import as_matrix, as_weights, products

SHIFTS = range(4)
CLIPS = 2.0 ** np.arange(0, 2.01, 0.25)
"""Factors that enlarge a channel's weights; those beyond the range saturate."""

SWEEPS = 4

GLANCE = 4096
"""Pixels for choosing a shift, a clipping or a scale; weights are chosen from more."""


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A layer's integers and their distance from the target.

    weights: int8 in the node's shape. gain, bias: (O,) from product units to those of the target.
    error, power: (O,) mean squares after the ReLU.
    """

    weights: Int8
    activation_shift: int
    gain: Floats
    bias: Floats
    error: Floats
    power: Floats

    @property
    def noise(self) -> float:
        """The error relative to the power, over all channels."""
        return float(self.error.sum() / max(self.power.sum(), 1e-12))


@dataclasses.dataclass(frozen=True)
class Task:
    """What a layer should compute at a sample of its pixels.

    x: (P, KH, KW, C) windows of the input. target: (P, O) the desired output, in any unit.
    floor: (P, O) or (1, 1); values below it do not matter. None: all values matter. unit: (O,) the
    gain of the exact product.
    """

    node: Weighted
    layer: LayerSpec
    spec: ProductSpec
    x: Int8
    target: Floats
    floor: Floats | None
    unit: Floats


def choose(task: Task) -> Chosen:
    """The best of all shifts, each with every channel's best clipping; then gain, bias, weights.

    Shifts and clippings are tried on some of the pixels; gain, bias and weights are fitted to all.
    """
    few = thinned(task)
    best = min((clipped(few, shift) for shift in shifts(task.spec)), key=lambda c: c.noise)
    return tuned(task, best)


def thinned(task: Task) -> Task:
    """The task on at most GLANCE of its pixels."""
    some = slice(None, None, -(-len(task.x) // GLANCE))
    floor = task.floor
    if floor is not None and len(floor) > 1:
        floor = floor[some]
    return dataclasses.replace(task, x=task.x[some], target=task.target[some], floor=floor)


def shifts(spec: ProductSpec) -> range:
    """The activation shifts of an arithmetic."""
    return SHIFTS if spec.signed == "split" and not spec.exact else range(1)


def clipped(task: Task, shift: int, clips: npt.NDArray[np.float64] = CLIPS) -> Chosen:
    """Every channel with the clipping of its weights that leaves the least error."""
    spec = dataclasses.replace(task.spec, activation_shift=shift)
    matrix = as_matrix(task.node, task.node.weights).astype(np.float64)
    total = power(task.target, task.floor)
    weights = np.zeros(matrix.shape, np.int8)
    least = np.full(matrix.shape[1], np.inf)
    gain, bias = np.zeros((2, matrix.shape[1]), np.float32)
    for clip in clips:
        tried = on_levels(matrix * clip, task.layer, spec)
        sums = products(task.x, task.layer, as_weights(task.node, tried), spec)
        found = gain_and_bias(sums, task.target, task.floor, task.unit / np.float32(clip))
        wrong = error(sums * found[0] + found[1], task.target, task.floor)
        better = wrong < least
        least[better] = wrong[better]
        weights[:, better] = tried[:, better]
        gain[better], bias[better] = found[0][better], found[1][better]
    return Chosen(as_weights(task.node, weights), shift, gain, bias, least, total)


def on_levels(matrix: npt.NDArray[np.float64], layer: LayerSpec, spec: ProductSpec) -> Int8:
    """Weights (K, O) as the nearest integers, or in split as those of the nearest levels."""
    if spec.signed != "split" or spec.exact:
        return np.clip(np.rint(matrix), -127, 127).astype(np.int8)
    levels = levels_of(spec, layer.input_zero)
    return levels.weights[levels.nearest(matrix)]


def tuned(task: Task, start: Chosen) -> Chosen:
    """`start` fitted to all pixels; in split, with weights that minimise the product's error."""
    spec = dataclasses.replace(task.spec, activation_shift=start.activation_shift)
    sweeps = SWEEPS if spec.signed == "split" else 0
    gain, weights = start.gain, start.weights
    if sweeps:
        descent = Descent(levels_of(spec, task.layer.input_zero), task.x, task.layer)
        level = descent.levels.index(as_matrix(task.node, start.weights))
        wanted = descent.levels.values[level]
    for sweep in range(sweeps + 1):
        sums = products(task.x, task.layer, weights, spec)
        gain, bias = gain_and_bias(sums, task.target, task.floor, gain)
        predicted = sums * gain + bias
        if sweep < sweeps:
            residual = predicted - aims(predicted, task.target, task.floor)
            descent.sweep(level, wanted, gain, residual)
            weights = as_weights(task.node, descent.levels.weights[level])
    wrong = error(predicted, task.target, task.floor)
    return dataclasses.replace(
        start,
        weights=weights,
        gain=gain,
        bias=bias,
        error=wrong,
        power=power(task.target, task.floor),
    )
