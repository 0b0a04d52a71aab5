"""Chooses the scale of a tensor for the least loss in the layers and sums that read it."""

import dataclasses
from collections.abc import Callable

import numpy as np

from dscim.arrays import Floats, Int8
from dscim.host.research.calibrate.fit import error, gain_and_bias, power
from dscim.host.research.calibrate.graph import Rescaling
from dscim.host.research.calibrate.layer import Task, on_levels, shifts
from dscim.host.research.calibrate.samples import as_matrix, as_weights, products

SCALES = 2.0 ** np.arange(-2, 2.01, 0.25)


@dataclasses.dataclass(frozen=True)
class Consumer:
    """A layer that reads the tensor.

    task: what it should compute, without its input. windows: the layer's input, from the tensor's
    integers and zero point.
    """

    task: Task
    windows: Callable[[Int8, int], Int8]


def quantised(values: Floats, to: Rescaling) -> Int8:
    """`values` as int8; they are x - z in steps of the network before calibration."""
    return np.clip(np.rint(values * np.float32(to.scale)) + to.zero, -128, 127).astype(np.int8)


def best_scale(values: Floats, zero: int, layers: list[Consumer], summed: list[float]) -> Rescaling:
    """The rescaling of a tensor with the least loss for its readers.

    values: the tensor as x - z, in steps of the network before calibration. zero: z'. layers,
    summed: the layers that read it, and for each sum that reads it, the tensor's power relative to
    the sum's.
    """
    wanted = power_of(values)
    best, least = Rescaling(1.0, zero), np.inf
    for scale in SCALES:
        to = Rescaling(float(scale), zero)
        x = quantised(values, to)
        back = (x.astype(np.float32) - zero) / np.float32(scale)
        lost = float(np.square(back - values).mean()) / wanted
        noise = sum(layer_noise(layer.task, layer.windows(x, zero), to) for layer in layers)
        noise += lost * sum(summed)
        if noise < least:
            best, least = to, noise
    return best


def power_of(values: Floats) -> float:
    """The variance of all values, at least 1e-12."""
    return max(float(values.var()), 1e-12)


def layer_noise(task: Task, x: Int8, to: Rescaling) -> float:
    """The layer's error on windows x (P, KH, KW, C) with the best shift, relative to its power.

    to: the rescaling of x; the weights stay as they are.
    """
    node, noises = task.node, []
    layer = dataclasses.replace(task.layer, input_zero=to.zero)
    matrix = as_matrix(node, node.weights).astype(np.float64)
    start = task.unit / np.float32(to.scale)
    for shift in shifts(task.spec):
        spec = dataclasses.replace(task.spec, activation_shift=shift)
        written = as_weights(node, on_levels(matrix, layer, spec))
        sums = products(x, layer, written, spec)
        gain, bias = gain_and_bias(sums, task.target, task.floor, start)
        noises.append(float(error(sums * gain + bias, task.target, task.floor).sum()))
    return min(noises) / max(float(power(task.target, task.floor).sum()), 1e-12)
