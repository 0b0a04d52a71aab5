"""Random layers with their parameters and inputs, seeded, for engine and device tests."""

import numpy as np

from dscim.gateware.layout import product_rows
from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.host.compile.parameters import LayerParameters

KERNELS = ((1, 1), (3, 3), (5, 5), (7, 7), (1, 7), (10, 4))


def random_product(rng: np.random.Generator, soc: SocSpec) -> ProductSpec:
    """Any arithmetic of the device, in a third of the cases the exact one."""
    macro = soc.macro
    if soc.exact and rng.random() < 1 / 3:
        return ProductSpec(macro.or_width, macro.or_width, exact=True)
    samples = 2 ** int(rng.integers(0, macro.max_samples.bit_length()))
    if macro.form == "array":
        samples = max(samples, macro.lanes // macro.or_width)
    signed = str(rng.choice(macro.signed))
    shift = int(rng.integers(4)) if signed == "split" else 0
    return ProductSpec(macro.or_width, macro.or_width * samples, macro.sequence, signed, shift)


def random_layer(rng: np.random.Generator, soc: SocSpec) -> LayerSpec:
    """1 to 130 channels in, 1 to 70 out, any kernel of KERNELS, same or valid padding."""
    kernel = KERNELS[rng.integers(len(KERNELS))]
    channels, outputs = int(rng.integers(1, 131)), int(rng.integers(1, 71))
    tiles = -(-outputs // soc.macro.columns)
    taps = kernel[0] * kernel[1]
    while product_rows(soc, channels, taps * channels) * tiles > soc.weight_rows:
        channels -= 1
    height, width = (int(size) for size in rng.integers(1, 12, 2))
    padding = ((0, 0), (0, 0))
    if rng.random() < 0.5:
        padding = tuple(((size - 1) // 2, size // 2) for size in kernel)
    else:
        height, width = max(height, kernel[0]), max(width, kernel[1])
    stride = tuple(int(size) for size in rng.integers(1, 3, 2))
    zeros = rng.choice((-128, 127, 0, *rng.integers(-128, 128, 5)), 2)
    clamp = (int(rng.integers(-128, 0)), int(rng.integers(0, 128)))
    return LayerSpec(
        (height, width, channels),
        outputs,
        kernel,
        stride,
        padding,
        int(zeros[0]),
        int(zeros[1]),
        clamp,
        random_product(rng, soc),
        single_rounding=bool(rng.integers(2)),
    )


def random_parameters(rng: np.random.Generator, layer: LayerSpec) -> LayerParameters:
    """Weights over all of int8, and scales from "everything saturates" to "everything is zero"."""
    kernel = (layer.outputs, *layer.kernel, layer.input[2])
    weights = rng.integers(-128, 128, kernel)
    if rng.random() < 0.1:
        weights[:] = rng.choice((-128, 0, 127))
    least = int(rng.integers(-18, -2))
    return LayerParameters(
        weights.astype(np.int8),
        rng.integers(-99999, 99999, layer.outputs).astype(np.int32),
        rng.integers(2**30, 2**31, layer.outputs).astype(np.int32),
        rng.integers(least, least + 4, layer.outputs).astype(np.int32),
    )


def random_inputs(rng: np.random.Generator, layer: LayerSpec, images: int) -> np.ndarray:
    """(images, H, W, C) int8: random, sparse, or constant at an extreme."""
    x = rng.integers(-128, 128, (images, *layer.input))
    choice = rng.random()
    if choice < 0.1:
        x[:] = rng.choice((-128, 0, 127))
    elif choice < 0.3:
        x[rng.random(x.shape) < 0.8] = layer.input_zero
    return x.astype(np.int8)
