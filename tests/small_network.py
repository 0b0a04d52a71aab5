"""A small random residual network: every kind of node, ragged tiles, strides, padding."""

import numpy as np

from dscim.gateware.specs import ProductSpec
from dscim.host.network import INPUT, Add, AveragePool, Conv, Network

SHAPE = (8, 8, 3)
CLASSES = ("cat", "dog", "owl", "elk")


def conv(
    name: str,
    source: str,
    inputs: int,
    outputs: int,
    kernel: int,
    rng: np.random.Generator,
    *,
    stride: int = 1,
    zeros: tuple[int, int] = (-128, -128),
) -> Conv:
    """A random square convolution that keeps the image size at stride 1."""
    depth = kernel * kernel * inputs
    pad = kernel // 2
    return Conv(
        name,
        (source,),
        zeros[1],
        1.0,
        weights=rng.integers(-128, 128, (outputs, kernel, kernel, inputs)).astype(np.int8),
        bias=rng.integers(-9999, 9999, outputs).astype(np.int32),
        multiplier=rng.integers(2**30, 2**31, outputs).astype(np.int32),
        shift=np.full(outputs, -7 - int(np.log2(depth) / 2), np.int32),
        input_zero=zeros[0],
        stride=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        activation_shift=int(rng.integers(0, 2)),
    )


def small_network(seed: int = 4, arithmetic: ProductSpec | None = None) -> Network:
    """Input 8 x 8 x 3, five convolutions, one with more inputs than a row tile, four classes."""
    rng = np.random.default_rng(seed)
    nodes = (
        conv("stem", INPUT, 3, 5, 3, rng, zeros=(4, -128)),
        conv("first", "stem", 5, 5, 3, rng),
        Add(
            "sum",
            ("first", "stem"),
            -3,
            1.0,
            input_zeros=(-128, -128),
            multipliers=(2**30, 2**30, 2**30),
            shifts=(0, 0, -18),
        ),
        conv("wide", "sum", 5, 33, 3, rng, stride=2, zeros=(-3, -128)),
        conv("deep", "wide", 33, 7, 3, rng, zeros=(-128, 5)),
        AveragePool("pool", ("deep",), 5, 1.0, kernel=(4, 4)),
        conv("classifier", "pool", 7, 4, 1, rng, zeros=(5, 0)),
    )
    return Network(
        "small", SHAPE, 1.0, 4, nodes, CLASSES, arithmetic or ProductSpec(), {"seed": seed}
    )


def small_images(count: int, seed: int = 5) -> np.ndarray:
    """(count, 8, 8, 3) random int8."""
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, (count, *SHAPE)).astype(np.int8)
