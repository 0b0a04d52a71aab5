"""A quantised network as a graph of integer nodes.

Activations are int8, NHWC. A node's inputs are earlier nodes, or INPUT, the network's own
input. Everything that decides a bit of the result is an integer; scales only tell what an
integer stands for: real = scale * (integer - zero point).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs import LayerSpec, ProductSpec, SpecError
from dscim.gateware.specs.base import require

INPUT = "input"
"""The name by which a node takes the network's input."""

Shape = tuple[int, int, int]
"""(height, width, channels)."""

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Node:
    """What every node has.

    name: unique, neither empty nor INPUT. inputs: names of earlier nodes, or INPUT.
    output_zero, output_scale: what the int8 output stands for. clamp: its least and greatest
    value, within -128..127; a fused ReLU is a clamp at output_zero.
    """

    name: str
    inputs: tuple[str, ...]
    output_zero: int
    output_scale: float
    clamp: Pair = (-128, 127)


@dataclass(frozen=True, eq=False)
class Conv(Node):
    """A convolution; fully connected when the kernel is as large as the unpadded input.

    The rows of such a kernel are in H, W, C order, which is that of the flattened input.
    weights: (outputs, KH, KW, C) int8. bias: (outputs,) int32 in product units, that is of the
    scale input scale * weight scale of the channel. multiplier, shift: (outputs,) int32, the
    requantisation as TensorFlow Lite has it: Q31 multiplier, positive shift = left.
    stride: (y, x). padding: ((top, bottom), (left, right)), filled with input_zero.
    activation_shift: e of the signed mode split, 0..3.
    """

    weights: npt.NDArray[np.int8] = field(kw_only=True)
    bias: npt.NDArray[np.int32] = field(kw_only=True)
    multiplier: npt.NDArray[np.int32] = field(kw_only=True)
    shift: npt.NDArray[np.int32] = field(kw_only=True)
    input_zero: int = field(kw_only=True)
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    activation_shift: int = 0

    def layer(self, shape: Shape, arithmetic: ProductSpec) -> LayerSpec:
        """The layer as the engine runs it on an input of `shape` by `arithmetic`.

        The node's own activation shift holds; in signed mode offset there is none.
        """
        shift = self.activation_shift if arithmetic.signed == "split" else 0
        outputs, height, width, channels = self.weights.shape
        require(channels == shape[2], f"Node {self.name!r} has weights for {channels} channels, "
                                      f"but its input has {shape[2]}.")
        return LayerSpec(
            shape, outputs, (height, width), self.stride, self.padding, self.input_zero,
            self.output_zero, self.clamp, replace(arithmetic, activation_shift=shift))


@dataclass(frozen=True, eq=False)
class Add(Node):
    """The sum of two tensors, in the integers of TensorFlow Lite's int8 reference ADD.

    input_zeros: of the two inputs. multipliers, shifts: of first input, second input, output;
    Q31 multiplier, positive shift = left. left_shift: bits by which the inputs are widened.
    """

    input_zeros: Pair = field(kw_only=True)
    multipliers: tuple[int, int, int] = field(kw_only=True)
    shifts: tuple[int, int, int] = field(kw_only=True)
    left_shift: int = 20


@dataclass(frozen=True, eq=False)
class AveragePool(Node):
    """The mean of each window, in the integers of TensorFlow Lite's int8 reference.

    Scale and zero point stay those of the input. Padded positions do not count.
    kernel, stride: (y, x). padding: ((top, bottom), (left, right)).
    """

    kernel: Pair = field(kw_only=True)
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))


KINDS: dict[str, type[Node]] = {kind.__name__: kind for kind in (Conv, Add, AveragePool)}
"""Every kind of node by its name in a network file."""


@dataclass(frozen=True, eq=False)
class Network:
    """A whole network; it is checked when it is made, and SpecError names the node at fault.

    shape: of the input. scale, zero: what the input's integers stand for.
    nodes: in an order in which they can be computed; the last is the network's output.
    classes: a name for each channel of the output, or none.
    arithmetic: what the network was tuned for; its activation shift is overridden by each node.
    provenance: JSON values: data set, seeds, versions.
    """

    name: str
    shape: Shape
    scale: float
    zero: int
    nodes: tuple[Node, ...]
    classes: tuple[str, ...] = ()
    arithmetic: ProductSpec = ProductSpec()
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(bool(self.nodes), f"Network {self.name!r} has no nodes.")
        zeros = {INPUT: self.zero}
        for node in self.nodes:
            require(bool(node.name) and node.name not in zeros,
                    f"The node name {node.name!r} is empty or taken.")
            for given in node.inputs:
                require(given in zeros,
                        f"Node {node.name!r} takes {given!r}, which no earlier node is.")
            _check(node, tuple(zeros[given] for given in node.inputs))
            zeros[node.name] = node.output_zero
        channels = self.shapes()[self.nodes[-1].name][2]
        require(len(self.classes) in (0, channels),
                f"{len(self.classes)} class names do not fit an output of {channels} channels.")

    def shapes(self) -> dict[str, Shape]:
        """(height, width, channels) of INPUT and of every node's output."""
        shapes = {INPUT: self.shape}
        for node in self.nodes:
            shapes[node.name] = _output_shape(node, [shapes[name] for name in node.inputs])
        return shapes

    def layers(self, arithmetic: ProductSpec | None = None) -> Iterator[tuple[Conv, LayerSpec]]:
        """The convolutions in order, each with its layer by `arithmetic`, or the network's own."""
        shapes = self.shapes()
        for node in self.nodes:
            if isinstance(node, Conv):
                yield node, node.layer(shapes[node.inputs[0]], arithmetic or self.arithmetic)


def _check(node: Node, zeros: tuple[int, ...]) -> None:
    """Raises SpecError unless the node's numbers fit each other and its inputs' zero points."""
    wanted = 2 if isinstance(node, Add) else 1
    require(len(zeros) == wanted, f"Node {node.name!r} has {len(zeros)} inputs, not {wanted}.")
    low, high = node.clamp
    require(-128 <= low <= high <= 127 and -128 <= node.output_zero <= 127,
            f"Node {node.name!r} has the clamp {node.clamp} and the output zero point "
            f"{node.output_zero}, not all within -128..127.")
    own = zeros
    if isinstance(node, Conv):
        own = (node.input_zero,)
        _check_arrays(node)
    elif isinstance(node, Add):
        own = node.input_zeros
        _check_scaling(node.name, np.array(node.multipliers), np.array(node.shifts))
        require(0 <= node.left_shift <= 22,
                f"Node {node.name!r} widens by {node.left_shift} bits, not 0..22.")
    elif isinstance(node, AveragePool):
        own = (node.output_zero,)
    require(own == zeros, f"Node {node.name!r} expects the zero points {own}, but its inputs "
                          f"have {zeros}.")


def _check_arrays(node: Conv) -> None:
    """Raises SpecError unless the arrays of a convolution have their shapes, types and ranges."""
    require(node.weights.dtype == np.int8 and node.weights.ndim == 4,
            f"Node {node.name!r} has weights {node.weights.dtype} of shape {node.weights.shape}, "
            "not OHWI int8.")
    for what in ("bias", "multiplier", "shift"):
        array = getattr(node, what)
        require(array.dtype == np.int32 and array.shape == node.weights.shape[:1],
                f"Node {node.name!r} has a {what} {array.dtype} of shape {array.shape}, not one "
                f"int32 for each of {len(node.weights)} outputs.")
    _check_scaling(node.name, node.multiplier, node.shift)
    require(node.activation_shift in range(4),
            f"Node {node.name!r} has the activation shift {node.activation_shift}, not 0..3.")


def _check_scaling(name: str, multiplier: npt.NDArray[Any], shift: npt.NDArray[Any]) -> None:
    """Raises SpecError for a multiplier or shift that TensorFlow Lite's kernels cannot take."""
    require(bool((multiplier >= 0).all() and (abs(shift) <= 31).all()),
            f"Node {name!r} has a multiplier below 0 or a shift beyond 31.")


def _output_shape(node: Node, shapes: list[Shape]) -> Shape:
    """The shape that a node makes of its inputs'."""
    first = shapes[0]
    if isinstance(node, Conv):
        return node.layer(first, ProductSpec()).output
    if isinstance(node, AveragePool):
        sides = [(size + sum(pad) - kernel) // stride + 1 for size, pad, kernel, stride in
                 zip(first[:2], node.padding, node.kernel, node.stride, strict=True)]
        require(min(sides) >= 1, f"Node {node.name!r} pools {node.kernel} out of {first[:2]}.")
        return sides[0], sides[1], first[2]
    if any(shape != first for shape in shapes):
        raise SpecError(f"Node {node.name!r} adds tensors of the shapes {shapes}.")
    return first
