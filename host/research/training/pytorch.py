"""From PyTorch: a trained float module quantised into a network (needs the extra `train`).

Batch norms are folded, weights get a scale for each output channel and the clip of the least
square error, activations the range of the least square error on the images given. No training,
no labels. A module must be one that torch.fx can trace.
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
    given: Input | None = None,
    classes: tuple[str, ...] = (),
    provenance: dict[str, Any] | None = None,
) -> Network:
    """The network in integers, for the exact product.

    model: takes (B, C, H, W) float32, returns (B, outputs). images: uint8 (N, H, W, C), some
    dozens of what the module was trained on: they choose the ranges. given: how their pixels
    become the module's input (pixel / 255 if none). classes: a name for each output, or none.
    UserError names an operation that has no integer form.
    """
    if images.ndim != 4 or images.dtype != "uint8" or not len(images):
        raise UserError(
            f"the images are {images.dtype} of shape {images.shape}, not one or more "
            "uint8 of (N, H, W, C)."
        )
    _, height, width, channels = images.shape
    shape = (height, width, channels)
    net = QuantisedNet(trace(model, shape), ProductSpec(exact=True), given or Input()).eval()
    calibrate(net, torch.from_numpy(images))
    facts = {
        "imported": "PyTorch module " + type(model).__name__,
        "torch": str(torch.__version__),
        "calibration_images": len(images),
    }
    return net.export(name, shape, classes, facts | (provenance or {}))
