"""Gain and bias of each channel by least squares, aware of a ReLU that follows."""

import numpy as np

from dscim.arrays import Floats

ROUNDS = 4
"""Rounds of least squares; each determines again which points are above the ReLU."""

MIN_GAIN = 1e-3
"""Minimum gain relative to the exact product's; below it a channel is effectively constant."""


def aims(predicted: Floats, target: Floats, floor: Floats | None) -> Floats:
    """What `predicted` should be: `target`, or itself where both are below `floor`."""
    if floor is None:
        return target
    return np.where(target > floor, target, np.minimum(predicted, floor))


def gain_and_bias(
    sums: Floats, target: Floats, floor: Floats | None, start: Floats
) -> tuple[Floats, Floats]:
    """The gain (O,) and bias (O,) that bring sums (P, O) nearest to target (P, O).

    floor: (P, O) or (1, 1); values below it do not matter. None: all values matter.
    start: (O,) initial gains, all positive; no gain falls below MIN_GAIN times its start.
    """
    gain = np.array(start, sums.dtype)
    bias = target.mean(axis=0) - gain * sums.mean(axis=0)
    for _ in range(1 if floor is None else ROUNDS):
        counts = (
            np.ones(sums.shape, sums.dtype)
            if floor is None
            else ((target > floor) | (sums * gain + bias > floor)).astype(sums.dtype)
        )
        gain, bias = _weighted(sums, above(target, floor), counts, MIN_GAIN * start)
    return gain, bias


def _weighted(sums: Floats, target: Floats, counts: Floats, least: Floats) -> tuple[Floats, Floats]:
    """Least squares over the points that count; counts: (P, O), 1 or 0."""
    points = np.maximum(counts.sum(axis=0), 1)
    centre, middle = (counts * sums).sum(axis=0) / points, (counts * target).sum(axis=0) / points
    spread = (sums - centre) * counts
    power = np.maximum((spread * spread).sum(axis=0), 1e-9)
    gain = np.maximum((spread * (target - middle)).sum(axis=0) / power, least)
    return gain, middle - gain * centre


def error(predicted: Floats, target: Floats, floor: Floats | None) -> Floats:
    """(O,) mean squared error of each channel, of values limited to the floor."""
    return ((above(predicted, floor) - above(target, floor)) ** 2).mean(axis=0)


def power(target: Floats, floor: Floats | None) -> Floats:
    """(O,) variance of each channel of the target, of values limited to the floor."""
    return above(target, floor).var(axis=0)


def above(values: Floats, floor: Floats | None) -> Floats:
    """`values`, or the floor where they are below it."""
    return values if floor is None else np.maximum(values, floor)
