"""From a float PyTorch module to the steps of a network in training: traced, folded, fused."""

import operator
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from dscim.host.errors import UserError
from dscim.host.network import INPUT
from dscim.host.training.convolution import ConvStep
from dscim.host.training.joining import AddStep, AverageStep, MaxStep
from dscim.host.training.step import NO_BOUNDS, RELU, Bounds, Step

Pair = tuple[int, int]


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
        return _Builder(module).steps


class _Builder:
    """Walks a traced graph once, and turns every operation into a step or folds it into one."""

    def __init__(self, module: fx.GraphModule) -> None:
        self.steps: list[Step] = []
        self._made: dict[fx.Node, str] = {}
        self._modules = dict(module.named_modules())
        for node in module.graph.nodes:
            self._visit(node)

    def _visit(self, node: fx.Node) -> None:
        """Handles one operation."""
        if node.op == "placeholder":
            self._made[node] = INPUT
        elif node.op == "output":
            if len(self._made) < 2 or self._made.get(node.args[0]) != self.steps[-1].name:
                raise UserError("the module must return one tensor, its last operation's.")
        else:
            kind = self._kind(node)
            if kind not in HANDLERS:
                raise _refusal(node, f"the operation {_title(kind)} has no integer form here; "
                               "known are convolutions, linear layers, batch norm, ReLU, ReLU6, "
                               "sums, pools, flatten and dropout")
            HANDLERS[kind](self, node)

    def _kind(self, node: fx.Node) -> Any:
        """What an operation is: a module's class, a function, or a method's name."""
        return type(self.module(node)) if node.op == "call_module" else node.target

    def module(self, node: fx.Node) -> Any:
        """The module that an operation calls."""
        return self._modules[str(node.target)]

    def given(self, node: fx.Node, index: int = 0) -> str:
        """The name of the step that makes an operation's input."""
        name = self._made.get(node.args[index])  # type: ignore[arg-type]
        if name is None:
            raise _refusal(node, "it takes something that is no tensor of the network")
        return name

    def name(self, node: fx.Node) -> str:
        """The name of an operation that is no module's: the module around it, and what it is."""
        around = list(node.meta.get("nn_module_stack", {}).values())
        path = f"{around[-1][0]}." if around and around[-1][0] else ""
        short = path + re.sub(r"_\d+$", "", node.name)
        return path + node.name if short in self._made.values() else short

    def add(self, node: fx.Node, step: Step) -> None:
        """The operation is a step of its own."""
        self._made[node] = step.name
        self.steps.append(step)

    def pass_on(self, node: fx.Node) -> None:
        """The operation changes nothing here."""
        self._made[node] = self.given(node)

    def passes_on(self, node: Any) -> bool:
        """Is what an operation makes what the operation before it made?"""
        made = self._made.get(node)
        return made != INPUT and self._made.get(node.args[0]) == made

    def producer(self, node: fx.Node, kinds: type[Step] | tuple[type[Step], ...]) -> Any:
        """The step whose output this operation alone takes, to be changed by it."""
        step = next((s for s in self.steps if s.name == self.given(node)), None)
        alone = len(node.args[0].users) == 1  # type: ignore[union-attr]
        if not isinstance(step, kinds) or not alone or step.bounds != NO_BOUNDS:
            raise _refusal(node, "it can only be folded into a convolution or a sum right before "
                                 "it whose output nothing else takes")
        return step


def _convolution(build: _Builder, node: fx.Node) -> None:
    """nn.Conv2d, plain or depthwise."""
    conv = build.module(node)
    if conv.groups not in (1, conv.in_channels) or conv.dilation != (1, 1) \
            or conv.padding_mode != "zeros":
        raise _refusal(node, f"groups {conv.groups}, dilation {conv.dilation} and padding mode "
                             f"{conv.padding_mode} are not all 1 (or the channels), 1 and zeros")
    padding = conv.padding
    if isinstance(padding, str):
        total = [0 if padding == "valid" else size - 1 for size in conv.kernel_size]
        down, across = ((size // 2, size - size // 2) for size in total)
    else:
        down, across = ((size, size) for size in padding)
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    build.add(node, ConvStep(str(node.target), (build.given(node),), NO_BOUNDS, conv.weight, bias,
                             conv.stride, (down, across), conv.groups))


def _linear(build: _Builder, node: fx.Node) -> None:
    """nn.Linear: a convolution whose kernel is the whole picture."""
    linear = build.module(node)
    source = node.args[0]
    while build.passes_on(source):
        source = source.args[0]  # type: ignore[union-attr,assignment]
    shape = _shape(source)
    height, width = shape[2:] if len(shape) == 4 else (1, 1)
    weight = linear.weight.reshape(linear.out_features, -1, height, width)
    bias = torch.zeros(linear.out_features) if linear.bias is None else linear.bias
    build.add(node, ConvStep(str(node.target), (build.given(node),), NO_BOUNDS, weight, bias,
                             (1, 1), ((0, 0), (0, 0))))


def _batch_norm(build: _Builder, node: fx.Node) -> None:
    """nn.BatchNorm2d, folded into the convolution before it."""
    norm, step = build.module(node), build.producer(node, ConvStep)
    factor = torch.ones(norm.num_features) if norm.weight is None else norm.weight
    offset = torch.zeros(norm.num_features) if norm.bias is None else norm.bias
    factor = factor / (norm.running_var + norm.eps).sqrt()
    step.adopt(step.real_weight() * factor[:, None, None, None],
               offset + (step.bias - norm.running_mean) * factor)
    build.pass_on(node)


def _activation(bounds: Bounds | None) -> Callable[[_Builder, fx.Node], None]:
    """An activation, fused into the convolution or the sum before it; None: Hardtanh's own."""

    def fuse(build: _Builder, node: fx.Node) -> None:
        step = build.producer(node, (ConvStep, AddStep))
        own = bounds
        if own is None:
            module = build.module(node)
            own = float(module.min_val), float(module.max_val)
        step.bound(own)
        build.pass_on(node)

    return fuse


def _add(build: _Builder, node: fx.Node) -> None:
    """The sum of two tensors of the same shape."""
    shapes = {_shape(argument) for argument in node.args}
    if len(node.args) != 2 or len(shapes) != 1 or node.kwargs:
        raise _refusal(node, f"it adds other than two tensors of one shape: {shapes}")
    build.add(node, AddStep(build.name(node), (build.given(node), build.given(node, 1)), NO_BOUNDS))


def _mean(build: _Builder, node: fx.Node) -> None:
    """The mean over height and width."""
    axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    if not isinstance(axes, list | tuple) or {int(str(a)) % 4 for a in axes} != {2, 3}:
        raise _refusal(node, f"the mean goes over the axes {axes}, not height and width")
    _whole_average(build, node)


def _adaptive(build: _Builder, node: fx.Node) -> None:
    """Adaptive average pool to one position."""
    size = build.module(node).output_size if node.op == "call_module" else node.args[1]
    if size not in (1, (1, 1), [1, 1]):
        raise _refusal(node, f"an adaptive pool to {size} is none to one position")
    _whole_average(build, node)


def _whole_average(build: _Builder, node: fx.Node) -> None:
    """The mean over the whole picture."""
    height, width = _shape(node.args[0])[2:]
    build.add(node, AverageStep(build.name(node), (build.given(node),), (height, width), (1, 1)))


def _pool(kind: type[AverageStep] | type[MaxStep]) -> Callable[[_Builder, fx.Node], None]:
    """nn.AvgPool2d or nn.MaxPool2d."""

    def build_pool(build: _Builder, node: fx.Node) -> None:
        pool = build.module(node)
        down, across = _pair(pool.padding)
        counted = getattr(pool, "count_include_pad", False) and (down or across)
        if pool.ceil_mode or counted or _pair(getattr(pool, "dilation", 1)) != (1, 1):
            raise _refusal(node, "a pool with ceil_mode, dilation or counted padding has no "
                                 "integer form here")
        build.add(node, kind(str(node.target), (build.given(node),), _pair(pool.kernel_size),
                             _pair(pool.stride), ((down, down), (across, across))))

    return build_pool


def _flatten(build: _Builder, node: fx.Node) -> None:
    """All but the first axis become one; a linear layer after it takes the picture itself."""
    shape = _shape(node)
    if len(shape) != 2 or shape[0] != 1:
        raise _refusal(node, f"it makes the shape {shape} of {_shape(node.args[0])}; only a "
                             "flatten of all but the batch is known")
    build.pass_on(node)


def _shape(node: Any) -> tuple[int, ...]:
    """The shape of an operation's result; () when it is no tensor."""
    facts = node.meta.get("tensor_meta") if isinstance(node, fx.Node) else None
    return tuple(facts.shape) if facts is not None else ()


def _pair(value: Any) -> Pair:
    """A size as PyTorch gives it, one number or two."""
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _title(kind: Any) -> str:
    """An operation's name for an error."""
    return getattr(kind, "__name__", str(kind))


def _refusal(node: fx.Node, reason: str) -> UserError:
    """The error that names an operation of the module and what is wrong."""
    return UserError(f"{str(node.target if node.op == 'call_module' else node.name)!r}: {reason}.")


HANDLERS: dict[Any, Callable[[_Builder, fx.Node], None]] = {
    nn.Conv2d: _convolution, nn.Linear: _linear, nn.BatchNorm2d: _batch_norm,
    **dict.fromkeys((nn.ReLU, torch.relu, nn.functional.relu, "relu"), _activation(RELU)),
    **dict.fromkeys((nn.ReLU6, nn.functional.relu6), _activation((0.0, 6.0))),
    nn.Hardtanh: _activation(None),
    **dict.fromkeys((operator.add, operator.iadd, torch.add, "add", "add_"), _add),
    **dict.fromkeys((torch.mean, "mean"), _mean),
    **dict.fromkeys((nn.AdaptiveAvgPool2d, nn.functional.adaptive_avg_pool2d), _adaptive),
    nn.AvgPool2d: _pool(AverageStep), nn.MaxPool2d: _pool(MaxStep),
    **dict.fromkeys((nn.Flatten, torch.flatten, "flatten", "view", "reshape"), _flatten),
    **dict.fromkeys((nn.Dropout, nn.Dropout2d, nn.Identity, nn.functional.dropout, "contiguous"),
                    _Builder.pass_on),
}
"""What handles each operation."""
