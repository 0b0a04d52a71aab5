"""Calibration of a whole network."""

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8
from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec
from dscim.host.network import Network, Weighted, check_images
from dscim.host.research.calibrate.calibration import Calibration, LayerReport

IMAGES = 128
"""A sufficient number of inputs; more improve little."""

MEMORY = 1 << 30
"""The maximum size of all tensors in memory, in bytes."""


def calibrate(
    network: Network,
    images: Int8,
    arithmetic: ProductSpec,
    *,
    seed: int = 0,
    cycles: int | None = None,
    say: Callable[[LayerReport], None] = lambda report: None,
) -> Network:
    """`network` with the integers that come nearest to its exact results on `images`.

    network: for the exact product; any tuning for another arithmetic is lost.
    images: (N, H, W, C) int8, typical inputs without labels; at most `usable` of them are used.
    arithmetic: for the new network; each layer gets its own activation shift. seed: of the sampled
    pixels. cycles: the macro's budget of cycles per image, within which the layers that benefit
    most get streams longer than the arithmetic's; None: no layer does.
    say: called with each layer's report once the layer is done.
    UserError for images that do not fit the network, or an exact arithmetic.
    """
    images = check(network, images, arithmetic)
    images = images[: usable(network, len(images))]
    spec = dataclasses.replace(arithmetic, activation_shift=0)
    calibration = Calibration(network, images, spec, seed, say, cycles)
    calibrated = calibration.run()
    record = {
        "images": len(images),
        "seed": seed,
        "images_sha256": hashlib.sha256(images.tobytes()).hexdigest(),
        "layers": [dataclasses.asdict(report) for report in calibration.reports],
    }
    return dataclasses.replace(calibrated, provenance={**network.provenance, "calibrate": record})


def check(network: Network, images: npt.NDArray[np.generic], arithmetic: ProductSpec) -> Int8:
    """The images; UserError if there is nothing to calibrate or nothing to calibrate with."""
    if arithmetic.exact:
        raise UserError("calibration is for a stochastic product; leave out --exact.")
    if not len(images):
        raise UserError("calibration needs at least one input; 64 to 512 are recommended.")
    if not network.nodes_of(Weighted):
        raise UserError(f"the network {network.name!r} has no layer to calibrate.")
    return check_images(network, images)


def usable(network: Network, images: int) -> int:
    """How many of `images` inputs are used: as many as fit MEMORY, but at least one."""
    sizes = [int(np.prod(shape)) for shape in network.shapes().values()]
    return max(1, min(images, MEMORY // (2 * sum(sizes) + 12 * max(sizes))))
