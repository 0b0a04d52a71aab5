"""From a float PyTorch module to the steps of a network in training: traced, folded, fused."""

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from dscim.host.research.training.builder import Builder
from dscim.host.research.training.operations import HANDLERS
from dscim.host.research.training.step import Step


def trace(model: nn.Module, shape: tuple[int, int, int]) -> list[Step]:
    """The steps of `model`, a trained float network, in real numbers: nothing is quantised yet.

    shape: (H, W, C) of an image. Batch norms are folded into the convolutions before them,
    ReLU, ReLU6 and Hardtanh into the convolution or the sum before them; dropout goes. A step
    is named after its module. UserError names the first operation that has no integer form.
    """
    height, width, channels = shape
    module = fx.symbolic_trace(model.eval())
    with torch.no_grad():
        ShapeProp(module).propagate(torch.zeros(1, channels, height, width))
        return Builder(module, HANDLERS).steps
