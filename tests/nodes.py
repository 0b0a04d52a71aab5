"""Seeded random nodes of every kind that a device runs, for tests of descriptors and engine."""

import numpy as np

from dscim.host.network import (
    INPUT,
    Add,
    AveragePool,
    Conv,
    Depthwise,
    MaxPool,
    Mean,
    Node,
    Requantise,
)
from dscim.host.network.scaling import add_factors, mean_factors, quantise_multiplier

Shape = tuple[int, int, int]


def random_zero(rng: np.random.Generator) -> int:
    """A zero point, at an extreme or at zero in half of the cases."""
    return int(rng.choice((-128, 127, 0, *rng.integers(-128, 128, 3))))


def random_clamp(rng: np.random.Generator) -> tuple[int, int]:
    """No clamp in half of the cases."""
    if rng.random() < 0.5:
        return -128, 127
    return int(rng.integers(-128, 0)), int(rng.integers(0, 128))


def random_window(rng: np.random.Generator, shape: Shape, most: int = 7) -> dict[str, object]:
    """kernel (1..most), stride and padding that fit `shape`; no window holds padding only."""
    kernel, stride, padding = [], [], []
    for size in shape[:2]:
        side = int(rng.integers(1, most + 1))
        pads = rng.integers(0, side, 2) if rng.random() < 0.5 else np.zeros(2, int)
        side = min(side, size + int(pads.sum()))
        kernel.append(side)
        stride.append(int(rng.integers(1, 4)))
        padding.append(tuple(int(min(pad, side - 1)) for pad in pads))
    return {"kernel": tuple(kernel), "stride": tuple(stride), "padding": tuple(padding)}


def random_scaling(
    rng: np.random.Generator, size: int, least: int = -12, most: int = -5
) -> dict[str, np.ndarray]:
    """Bias, multiplier and shift of `size` channels."""
    return {
        "bias": rng.integers(-9999, 9999, size).astype(np.int32),
        "multiplier": rng.integers(2**30, 2**31, size).astype(np.int32),
        "shift": rng.integers(least, most, size).astype(np.int32),
    }


def conv(
    rng: np.random.Generator,
    name: str,
    given: str,
    shape: Shape,
    zero: int,
    outputs: int,
    window: dict[str, object] | None = None,
) -> Conv:
    """A convolution of random integers on `shape`; window: kernel, stride and padding."""
    window = dict(window or random_window(rng, shape, 3))
    kernel = window.pop("kernel")
    weights = rng.integers(-128, 128, (outputs, *kernel, shape[2])).astype(np.int8)
    return Conv(
        name,
        (given,),
        random_zero(rng),
        1.0,
        random_clamp(rng),
        weights=weights,
        input_zero=zero,
        single_rounding=bool(rng.integers(2)),
        **random_scaling(rng, outputs),
        **window,
    )


def depthwise(
    rng: np.random.Generator,
    name: str,
    given: str,
    shape: Shape,
    zero: int,
    each: int = 1,
    window: dict[str, object] | None = None,
) -> Depthwise:
    """A depthwise convolution of random integers on `shape`; each: outputs per channel."""
    window = dict(window or random_window(rng, shape))
    kernel, outputs = window.pop("kernel"), shape[2] * each
    weights = rng.integers(-128, 128, (*kernel, outputs)).astype(np.int8)
    if rng.random() < 0.1:
        weights[:] = rng.choice((-128, 0, 127))
    return Depthwise(
        name,
        (given,),
        random_zero(rng),
        1.0,
        random_clamp(rng),
        weights=weights,
        input_zero=zero,
        activation_shift=int(rng.integers(4)),
        single_rounding=bool(rng.integers(2)),
        **random_scaling(rng, outputs, -10, -3),
        **window,
    )


def add(rng: np.random.Generator, name: str, given: tuple[str, str], zeros: tuple[int, int]) -> Add:
    """An addition: of scales up to 64 times apart, or of any integers that stay in 32 bits."""
    scales = 2.0 ** rng.uniform(-3, 3, 3)
    left_shift = int(rng.choice((20, 20, *rng.integers(0, 23, 2))))
    multipliers, shifts = add_factors(*map(float, scales), left_shift)
    if rng.random() < 0.4:
        multipliers = tuple(int(m) for m in rng.integers(0, 2**31, 3))
        shifts = (
            *(int(s) for s in rng.integers(-31, 23 - left_shift, 2)),
            int(rng.integers(-31, -8)),
        )
    elif left_shift + max(shifts[:2]) > 22:
        left_shift = 20
    return Add(
        name,
        given,
        random_zero(rng),
        1.0,
        random_clamp(rng),
        input_zeros=zeros,
        multipliers=multipliers,
        shifts=shifts,
        left_shift=left_shift,
    )


def pool(rng: np.random.Generator, name: str, given: str, shape: Shape, zero: int) -> Node:
    """A maximum or an average over windows."""
    kind = MaxPool if rng.random() < 0.5 else AveragePool
    return kind(name, (given,), zero, 1.0, random_clamp(rng), **random_window(rng, shape))


def mean(rng: np.random.Generator, name: str, given: str, shape: Shape, zero: int) -> Mean:
    """A mean over the whole image."""
    multiplier, shift = mean_factors(float(2.0 ** rng.uniform(-2, 2)), shape[0] * shape[1])
    return Mean(
        name,
        (given,),
        random_zero(rng),
        1.0,
        random_clamp(rng),
        input_zero=zero,
        multiplier=multiplier,
        shift=shift,
        single_rounding=bool(rng.integers(2)),
    )


def requantise(rng: np.random.Generator, name: str, given: str, zero: int) -> Requantise:
    """A change of scale."""
    multiplier, shift = quantise_multiplier(2.0 ** rng.uniform(-3, 3))
    return Requantise(
        name,
        (given,),
        random_zero(rng),
        1.0,
        random_clamp(rng),
        input_zero=zero,
        multiplier=int(multiplier),
        shift=int(shift),
        single_rounding=bool(rng.integers(2)),
    )


def random_image(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """(H, W, C) int8: random, at its extremes, or constant."""
    x = rng.integers(-128, 128, shape)
    choice = rng.random()
    if choice < 0.3:
        x = np.where(rng.random(shape) < 0.5, rng.choice((-128, 127), shape), x)
    elif choice < 0.4:
        x[:] = rng.choice((-128, 0, 127))
    return x.astype(np.int8)


def random_shape(rng: np.random.Generator, most: int = 9, channels: int = 40) -> Shape:
    """(H, W, C), small and ragged."""
    height, width = (int(size) for size in rng.integers(1, most + 1, 2))
    return height, width, int(rng.choice((1, 3, 7, 8, 9, 16, *rng.integers(1, channels, 3))))


def single(rng: np.random.Generator, kind: str, shape: Shape, zero: int) -> list[Node]:
    """The nodes of a network that tests one kind; an add is of the input and a scaled copy."""
    if kind == "add":
        other = Requantise(
            "other", (INPUT,), random_zero(rng), 1.0, input_zero=zero, multiplier=2**31 - 1, shift=0
        )
        return [other, add(rng, "last", (INPUT, "other"), (zero, other.output_zero))]
    if kind == "requantise":
        return [requantise(rng, "last", INPUT, zero)]
    if kind == "depthwise":
        return [depthwise(rng, "last", INPUT, shape, zero, int(rng.integers(1, 3)))]
    make = {"pool": pool, "mean": mean}[kind]
    return [make(rng, "last", INPUT, shape, zero)]
