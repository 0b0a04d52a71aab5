"""Small random networks for the tests of files, evaluation and training."""

import numpy as np

from dscim.gateware.specs import ProductSpec
from dscim.host.network import INPUT, Add, AveragePool, Conv, Network


def conv(
    generator: np.random.Generator,
    name: str,
    given: str,
    shape: tuple[int, ...],
    input_zero: int,
    **others: object,
) -> Conv:
    """A convolution with random integers; shape: OHWI."""
    outputs = shape[0]
    return Conv(
        name,
        (given,),
        **{"output_zero": -128, "output_scale": 0.5, "clamp": (-128, 127)} | others,
        weights=generator.integers(-128, 128, shape).astype(np.int8),
        bias=generator.integers(-3000, 3000, outputs).astype(np.int32),
        multiplier=generator.integers(1 << 30, (1 << 31) - 1, outputs).astype(np.int32),
        shift=generator.integers(-10, -6, outputs).astype(np.int32),
        input_zero=input_zero,
    )


DEFAULT = ProductSpec()


def network(
    seed: int = 0,
    arithmetic: ProductSpec = DEFAULT,
    channels: int = 3,
    side: int = 6,
    zero: int = -128,
) -> Network:
    """Two convolutions, their sum, a pool, a classifier."""
    generator = np.random.default_rng(seed)
    pad = ((1, 1), (1, 1))
    nodes = (
        conv(generator, "a", INPUT, (4, 3, 3, channels), zero, padding=pad),
        conv(
            generator, "b", "a", (4, 3, 3, 4), -128, padding=pad, output_zero=7, activation_shift=1
        ),
        Add(
            "sum",
            ("a", "b"),
            -128,
            0.25,
            input_zeros=(-128, 7),
            multipliers=(1 << 30, 1_500_000_000, 1_200_000_000),
            shifts=(0, 0, -18),
        ),
        AveragePool("pool", ("sum",), -128, 0.25, kernel=(3, 2), stride=(2, 1)),
        conv(
            generator, "dense", "pool", (5, (side - 3) // 2 + 1, side - 1, 4), -128, output_zero=3
        ),
    )
    return Network(
        "example",
        (side, side, channels),
        0.125,
        zero,
        nodes,
        tuple("abcde"),
        arithmetic,
        {"seed": seed},
    )
