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
"""Inputs that are enough: more gain little."""

MEMORY = 1 << 30
"""Bytes of tensors that are held at most."""


def calibrate(
    network: Network,
    images: Int8,
    arithmetic: ProductSpec,
    *,
    seed: int = 0,
    cycles: int | None = None,
    say: Callable[[LayerReport], None] = lambda report: None,
) -> Network:
    """`network` with the integers that come nearest to its exact self on `images`.

    network: for the exact product; where it was tuned for another arithmetic, its own is lost.
    images: (N, H, W, C) int8, of the kind that it will see, no labels; as many are used as
    `usable` says. arithmetic: what it shall run by, each layer with a shift of its own. seed: of
    the pixels that are looked at. cycles: as many the macro may take for an image; where they
    allow it, layers get streams longer than the arithmetic's, those first that gain most by it;
    None: no layer does. say: called for each layer when it is chosen.
    UserError for images that are none of this network, or an exact arithmetic.
    """
    images = check(network, images, arithmetic)
    images = images[: usable(network, len(images))]
    spec = dataclasses.replace(arithmetic, activation_shift=0)
    calibration = Calibration(network, images, spec, seed, say, cycles)
    made = calibration.run()
    told = {
        "images": len(images),
        "seed": seed,
        "images_sha256": hashlib.sha256(images.tobytes()).hexdigest(),
        "layers": [dataclasses.asdict(report) for report in calibration.reports],
    }
    return dataclasses.replace(made, provenance={**network.provenance, "calibrate": told})


def check(network: Network, images: npt.NDArray[np.generic], arithmetic: ProductSpec) -> Int8:
    """The images, or UserError where there is nothing to calibrate or nothing to do it with."""
    if arithmetic.exact:
        raise UserError("calibration is for a stochastic product; leave out --exact.")
    if not len(images):
        raise UserError("calibration needs at least one input; 64 to 512 do well.")
    if not network.nodes_of(Weighted):
        raise UserError(f"the network {network.name!r} has no layer to calibrate.")
    return check_images(network, images)


def usable(network: Network, images: int) -> int:
    """How many of `images` inputs are used: as many as fit MEMORY, at least one."""
    sizes = [int(np.prod(shape)) for shape in network.shapes().values()]
    return max(1, min(images, MEMORY // (2 * sum(sizes) + 12 * max(sizes))))
