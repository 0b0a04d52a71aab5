"""Quantises a trained float PyTorch module into a network (needs the extra `train`).

Batch norms are folded. Weights get a scale and a clip per output channel, and activations a range,
each with the least square error on some images. Neither training nor labels are needed. torch.fx
must be able to trace the module.
"""

from typing import Any

import torch
from torch import nn

from dscim.arrays import UInt8
from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec
from dscim.host.network import Network
from dscim.host.network.datasets.pixels import Input
from dscim.host.research.training.calibrate import calibrate
from dscim.host.research.training.quantised import QuantisedNet
from dscim.host.research.training.trace import trace


def quantise(
    model: nn.Module,
    images: UInt8,
    name: str,
    pixels: Input | None = None,
    classes: tuple[str, ...] = (),
    provenance: dict[str, Any] | None = None,
) -> Network:
    """The network in integers, for the exact product.

    model: takes (B, C, H, W) float32, returns (B, outputs). images: uint8 (N, H, W, C), a few dozen
    training images, which determine the ranges. pixels: how pixels become the module's input
    (default: pixel / 255). classes: a name for each output, or none. UserError for images of
    another type or shape, and for an operation without an integer form, which it names.
    """
    if images.ndim != 4 or images.dtype != "uint8" or not len(images):
        raise UserError(
            f"the images are {images.dtype} of shape {images.shape}; they must be uint8 of shape "
            "(N, H, W, C), at least one."
        )
    _, height, width, channels = images.shape
    shape = (height, width, channels)
    net = QuantisedNet(trace(model, shape), ProductSpec(exact=True), pixels or Input()).eval()
    calibrate(net, torch.from_numpy(images))
    facts = {
        "imported": "PyTorch module " + type(model).__name__,
        "torch": str(torch.__version__),
        "calibration_images": len(images),
    }
    return net.export(name, shape, classes, facts | (provenance or {}))
