"""Turns a float PyTorch module into the steps of a network in training.

HANDLERS has the function that handles each operation.
"""

import operator
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from dscim.host.research.training.builder import Builder, Handler, shape_of, unsupported
from dscim.host.research.training.convolution import ConvStep
from dscim.host.research.training.joining import AddStep, AverageStep, MaxStep
from dscim.host.research.training.product import Pair
from dscim.host.research.training.step import NO_BOUNDS, RELU, Bounds, Step


def _convolution(build: Builder, node: fx.Node) -> None:
    """nn.Conv2d, plain or depthwise."""
    conv = build.module(node)
    if (
        conv.groups not in (1, conv.in_channels)
        or conv.dilation != (1, 1)
        or conv.padding_mode != "zeros"
    ):
        raise unsupported(
            node,
            f"groups {conv.groups}, dilation {conv.dilation} and padding mode "
            f"{conv.padding_mode} are not all 1 (or the channels), 1 and zeros",
        )
    padding = conv.padding
    if isinstance(padding, str):
        total = [0 if padding == "valid" else size - 1 for size in conv.kernel_size]
        down, across = ((size // 2, size - size // 2) for size in total)
    else:
        down, across = ((size, size) for size in padding)
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    build.add(
        node,
        ConvStep(
            str(node.target),
            (build.source(node),),
            NO_BOUNDS,
            conv.weight,
            bias,
            conv.stride,
            (down, across),
            conv.groups,
        ),
    )


def _linear(build: Builder, node: fx.Node) -> None:
    """nn.Linear: a convolution whose kernel is the whole image."""
    linear = build.module(node)
    source = node.args[0]
    while build.passes_on(source):
        source = source.args[0]  # type: ignore[union-attr,assignment]
    shape = shape_of(source)
    height, width = shape[2:] if len(shape) == 4 else (1, 1)
    weight = linear.weight.reshape(linear.out_features, -1, height, width)
    bias = torch.zeros(linear.out_features) if linear.bias is None else linear.bias
    build.add(
        node,
        ConvStep(
            str(node.target),
            (build.source(node),),
            NO_BOUNDS,
            weight,
            bias,
            (1, 1),
            ((0, 0), (0, 0)),
        ),
    )


def _batch_norm(build: Builder, node: fx.Node) -> None:
    """nn.BatchNorm2d, folded into the convolution before it."""
    norm, step = build.module(node), build.producer(node, ConvStep)
    factor = torch.ones(norm.num_features) if norm.weight is None else norm.weight
    offset = torch.zeros(norm.num_features) if norm.bias is None else norm.bias
    factor = factor / (norm.running_var + norm.eps).sqrt()
    step.adopt(
        step.real_weight() * factor[:, None, None, None],
        offset + (step.bias - norm.running_mean) * factor,
    )
    build.pass_on(node)


def _activation(bounds: Bounds | None) -> Handler:
    """An activation, fused into the convolution or the sum before it; None: bounds of Hardtanh."""

    def fuse(build: Builder, node: fx.Node) -> None:
        step = build.producer(node, (ConvStep, AddStep))
        own = bounds
        if own is None:
            module = build.module(node)
            own = float(module.min_val), float(module.max_val)
        step.bound(own)
        build.pass_on(node)

    return fuse


def _add(build: Builder, node: fx.Node) -> None:
    """The sum of two tensors of the same shape."""
    shapes = {shape_of(argument) for argument in node.args}
    if len(node.args) != 2 or len(shapes) != 1 or node.kwargs:
        raise unsupported(node, f"it does not add two tensors of the same shape, but {shapes}")
    build.add(
        node, AddStep(build.name(node), (build.source(node), build.source(node, 1)), NO_BOUNDS)
    )


def _mean(build: Builder, node: fx.Node) -> None:
    """The mean over height and width."""
    axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    if not isinstance(axes, list | tuple) or {int(str(a)) % 4 for a in axes} != {2, 3}:
        raise unsupported(node, f"the mean is over the axes {axes}, not height and width")
    _whole_average(build, node)


def _adaptive(build: Builder, node: fx.Node) -> None:
    """Adaptive average pool to one position."""
    size = build.module(node).output_size if node.op == "call_module" else node.args[1]
    if size not in (1, (1, 1), [1, 1]):
        raise unsupported(node, f"the adaptive pool has the output size {size}, not 1")
    _whole_average(build, node)


def _whole_average(build: Builder, node: fx.Node) -> None:
    """The mean over the whole image."""
    height, width = shape_of(node.args[0])[2:]
    build.add(node, AverageStep(build.name(node), (build.source(node),), (height, width), (1, 1)))


def _pool(kind: type[AverageStep] | type[MaxStep]) -> Handler:
    """nn.AvgPool2d or nn.MaxPool2d."""

    def build_pool(build: Builder, node: fx.Node) -> None:
        pool = build.module(node)
        down, across = _pair(pool.padding)
        counted = getattr(pool, "count_include_pad", False) and (down or across)
        if pool.ceil_mode or counted or _pair(getattr(pool, "dilation", 1)) != (1, 1):
            raise unsupported(
                node, "pools with ceil_mode, dilation or counted padding have no integer form"
            )
        build.add(
            node,
            kind(
                str(node.target),
                (build.source(node),),
                _pair(pool.kernel_size),
                _pair(pool.stride),
                ((down, down), (across, across)),
            ),
        )

    return build_pool


def _flatten(build: Builder, node: fx.Node) -> None:
    """Flatten of all axes but the first; a linear layer after it takes the image itself."""
    shape = shape_of(node)
    if len(shape) != 2 or shape[0] != 1:
        raise unsupported(
            node,
            f"it reshapes {shape_of(node.args[0])} to {shape}; the only supported reshape is a "
            "flatten of all axes but the batch",
        )
    build.pass_on(node)


def _pair(value: Any) -> Pair:
    """(height, width) of a PyTorch size, which is one number or two."""
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


HANDLERS: dict[Any, Handler] = {
    nn.Conv2d: _convolution,
    nn.Linear: _linear,
    nn.BatchNorm2d: _batch_norm,
    **dict.fromkeys((nn.ReLU, torch.relu, nn.functional.relu, "relu"), _activation(RELU)),
    **dict.fromkeys((nn.ReLU6, nn.functional.relu6), _activation((0.0, 6.0))),
    nn.Hardtanh: _activation(None),
    **dict.fromkeys((operator.add, operator.iadd, torch.add, "add", "add_"), _add),
    **dict.fromkeys((torch.mean, "mean"), _mean),
    **dict.fromkeys((nn.AdaptiveAvgPool2d, nn.functional.adaptive_avg_pool2d), _adaptive),
    nn.AvgPool2d: _pool(AverageStep),
    nn.MaxPool2d: _pool(MaxStep),
    **dict.fromkeys((nn.Flatten, torch.flatten, "flatten", "view", "reshape"), _flatten),
    **dict.fromkeys(
        (nn.Dropout, nn.Dropout2d, nn.Identity, nn.functional.dropout, "contiguous"),
        Builder.pass_on,
    ),
}
"""The handler of each operation."""


def trace(model: nn.Module, shape: tuple[int, int, int]) -> list[Step]:
    """The steps of `model`, a trained float network, in real numbers, before quantisation.

    shape: (H, W, C) of an image. Batch norms are folded into the convolutions before them;
    ReLU, ReLU6 and Hardtanh into the convolution or the sum before them; dropout is removed. A
    step is named after its module. UserError names the first operation that has no integer form.
    """
    height, width, channels = shape
    module = fx.symbolic_trace(model.eval())
    with torch.no_grad():
        ShapeProp(module).propagate(torch.zeros(1, channels, height, width))
        return Builder(module, HANDLERS).steps
