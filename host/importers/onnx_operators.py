"""Each ONNX operator that is known: what it makes of its inputs."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dscim.host.importers.onnx_file import Operator
from dscim.host.importers.onnx_products import (
    batch_normalization,
    biased,
    conv,
    gemm,
    sides,
    window,
)
from dscim.host.importers.onnx_values import (
    Activation,
    Fixed,
    Layout,
    Pending,
    Product,
    Simple,
    Value,
)
from dscim.host.importers.onnx_walk import Walk, finite
from dscim.host.network import (
    Add,
    AveragePool,
    MaxPool,
    Mean,
    Pad,
    Requantise,
    Reshape,
    Shape,
    Softmax,
)
from dscim.host.network.node import Padding
from dscim.host.network.scaling import add_factors, mean_factors, quantise_multiplier


def add(walk: Walk, operator: Operator) -> Value:
    """Add of two activations, or of a bias to a product that is not quantised yet."""
    for mine, other in ((0, 1), (1, 0)):
        value = walk.value(operator, mine)
        if isinstance(value, Product):
            return biased(walk, operator, value, walk.numbers(operator, other, "summand"))
    first, second = walk.activation(operator), walk.activation(operator, 1)
    if first.layout != second.layout:
        walk.refuse(operator, f"adds tensors of {first.layout.shape} and {second.layout.shape}; "
                              "broadcasting is not known")

    def make(fields: dict[str, Any]) -> Add:
        multipliers, shifts = add_factors(first.quantity.scale, second.quantity.scale,
                                          fields["output_scale"])
        return Add(**fields, input_zeros=(first.quantity.zero, second.quantity.zero),
                   multipliers=multipliers, shifts=shifts)
    return Simple((first, second), first.layout, make=make)


def relu(walk: Walk, operator: Operator) -> Value:
    """Relu: bounded by 0."""
    return _bounded(walk, operator, 0.0, None)


def clip(walk: Walk, operator: Operator) -> Value:
    """Clip: bounded by constants."""
    bounds = []
    for position, name in ((1, "min"), (2, "max")):
        value = operator.attributes.get(name)
        if walk.given(operator, position):
            numbers = walk.numbers(operator, position, name)
            value = float(numbers.ravel()[0]) if numbers.size == 1 else math.nan
        bounds.append(finite(value))
    return _bounded(walk, operator, bounds[0], bounds[1])


def max_pool(walk: Walk, operator: Operator) -> Value:
    """MaxPool; its node keeps the input's scale."""
    given = walk.image(operator)
    geometry, layout = _pool(walk, operator, given)
    return Simple((given,), layout, make=lambda fields: MaxPool(**fields, **geometry),
                  own=given.quantity)


def average_pool(walk: Walk, operator: Operator) -> Value:
    """AveragePool without padding that counts; over a whole image it is a mean."""
    given = walk.image(operator)
    geometry, layout = _pool(walk, operator, given)
    padded = geometry["padding"] != ((0, 0), (0, 0))
    if padded and operator.attributes.get("count_include_pad", 0):
        walk.refuse(operator, "counts padding; set count_include_pad to 0")
    if not padded and layout.shape[:2] == (1, 1) and geometry["kernel"] == given.layout.shape[:2]:
        return _mean(given, layout)
    return Simple((given,), layout, make=lambda fields: AveragePool(**fields, **geometry),
                  own=given.quantity)


def global_average_pool(walk: Walk, operator: Operator) -> Value:
    """GlobalAveragePool."""
    given = walk.image(operator)
    return _mean(given, Layout((1, 1, given.layout.shape[2])))


def reduce_mean(walk: Walk, operator: Operator) -> Value:
    """ReduceMean over height and width."""
    given = walk.activation(operator)
    axes = operator.attributes.get("axes")
    if walk.given(operator, 1):
        axes = walk.numbers(operator, 1, "axes").ravel().tolist()
    letters = {given.layout.order[int(axis) % 4 - 1] for axis in axes or () if int(axis) % 4}
    if given.layout.flat or letters != {"h", "w"} or len(axes or ()) != 2:
        walk.refuse(operator, f"is over the axes {axes}; only height and width are known")
    keep = bool(operator.attributes.get("keepdims", 1))
    return _mean(given, Layout((1, 1, given.layout.shape[2]), given.layout.order, not keep))


def pad(walk: Walk, operator: Operator) -> Value:
    """Pad of height and width with 0."""
    given = walk.image(operator)
    pads = operator.attributes.get("pads")
    if walk.given(operator, 1):
        pads = walk.numbers(operator, 1, "pads").ravel().tolist()
    value = walk.numbers(operator, 2, "value") if walk.given(operator, 2) else \
        np.array(operator.attributes.get("value", 0.0))
    mode = operator.attributes.get("mode", b"constant")
    if pads is None or len(pads) != 8 or any(pads[i] for i in (0, 1, 4, 5)) or min(pads) < 0 \
            or mode != b"constant" or value.any() or walk.given(operator, 3):
        walk.refuse(operator, f"pads by {pads} in the mode {mode.decode()!r}; only height and "
                              "width can be padded, with 0")
    padding: Padding = ((int(pads[2]), int(pads[6])), (int(pads[3]), int(pads[7])))
    height, width, channels = given.layout.shape
    shape = (height + sum(padding[0]), width + sum(padding[1]), channels)
    return Simple((given,), Layout(shape), make=lambda fields: Pad(**fields, padding=padding),
                  own=given.quantity)


def flatten(walk: Walk, operator: Operator) -> Value:
    """Flatten of all dimensions after the batch."""
    if operator.attributes.get("axis", 1) != 1:
        walk.refuse(operator, f"is at axis {operator.attributes['axis']}; only 1 is known")
    return _moved(walk, operator, lambda layout: Layout(layout.shape, layout.order, True))


def reshape(walk: Walk, operator: Operator) -> Value:
    """Reshape, Squeeze and Unsqueeze that make one dimension of all, or an image of one."""
    if operator.kind == "Reshape":
        sizes = walk.numbers(operator, 1, "shape").ravel().tolist()
        return _moved(walk, operator, lambda layout: _reshaped(walk, operator, layout, sizes))
    return _moved(walk, operator, lambda layout: _squeezed(walk, operator, layout))


def transpose(walk: Walk, operator: Operator) -> Value:
    """Transpose of an activation's dimensions, which its integers do not notice."""
    value = walk.value(operator, 0)
    order = tuple(int(axis) for axis in operator.attributes.get("perm", ()))
    if isinstance(value, Fixed) and sorted(order) == list(range(value.values.ndim)):
        return value.transposed(order)
    if sorted(order) != [0, 1, 2, 3] or order[0] != 0:
        walk.refuse(operator, f"is by {order}; the batch must stay first, of 4 dimensions")

    def turned(layout: Layout) -> Layout:
        if layout.flat:
            walk.refuse(operator, "transposes a flat tensor")
        return Layout(layout.shape, "".join(layout.order[axis - 1] for axis in order[1:]))
    return _moved(walk, operator, turned)


def softmax(walk: Walk, operator: Operator) -> Value:
    """Softmax over the channels of one position."""
    given = walk.activation(operator)
    axis = int(operator.attributes.get("axis", -1))
    if given.layout.shape[:2] != (1, 1) or axis not in (1, -1):
        walk.refuse(operator, f"is over axis {axis} of {given.layout.shape}; only the channels of "
                              "one position are known")
    table = np.exp(-np.float32(given.quantity.scale) * np.arange(256, dtype=np.float32))
    return Simple((given,), given.layout, make=lambda fields: Softmax(**fields, table=table))


def same(walk: Walk, operator: Operator) -> Value:
    """Identity, and Dropout, which does nothing after training."""
    return walk.value(operator, 0)


def _bounded(walk: Walk, operator: Operator, low: float | None, high: float | None) -> Value:
    """What is pending, with bounds; of an activation, a requantisation with bounds."""
    if any(bound is not None and math.isnan(bound) for bound in (low, high)):
        walk.refuse(operator, "has bounds that are no numbers")
    value = walk.value(operator, 0)
    if isinstance(value, Pending):
        return value.bounded(low, high)
    given = walk.activation(operator)

    def make(fields: dict[str, Any]) -> Requantise:
        multiplier, shift = quantise_multiplier([given.quantity.scale / fields["output_scale"]])
        return Requantise(**fields, input_zero=given.quantity.zero,
                          multiplier=int(multiplier[0]), shift=int(shift[0]))
    return Simple((given,), given.layout, low, high, make=make)


def _pool(walk: Walk, operator: Operator, given: Activation) -> tuple[dict[str, Any], Layout]:
    """Kernel, stride and padding of a pool, and what it makes."""
    height, width, channels = given.layout.shape
    kernel = [int(size) for size in operator.attributes.get("kernel_shape", ())]
    if len(kernel) != 2 or min(kernel) < 1 or len(operator.outputs) != 1:
        walk.refuse(operator, f"has the kernel {kernel} and {len(operator.outputs)} outputs; a "
                              "pool over an image is known")
    geometry = window(walk, operator, (kernel[0], kernel[1]), (height, width))
    if operator.attributes.get("ceil_mode", 0):
        spare = [(size + sum(pad) - k) % s for size, pad, k, s in zip(
            (height, width), geometry["padding"], kernel, geometry["stride"], strict=True)]
        if any(spare):
            walk.refuse(operator, "rounds its size up (ceil_mode); pad before it instead")
    high, wide = sides((height, width), (kernel[0], kernel[1]), geometry)
    return geometry, Layout((high, wide, channels))


def _mean(given: Activation, layout: Layout) -> Pending:
    """The mean over height and width."""
    height, width, _ = given.layout.shape

    def make(fields: dict[str, Any]) -> Mean:
        multiplier, shift = mean_factors(given.quantity.scale / fields["output_scale"],
                                         height * width)
        return Mean(**fields, input_zero=given.quantity.zero, multiplier=multiplier, shift=shift)
    return Simple((given,), layout, make=make)


def _moved(walk: Walk, operator: Operator, change: Callable[[Layout], Layout]) -> Value:
    """An activation in another layout; where its shape changes, a Reshape makes it."""
    given = walk.activation(operator)
    layout = change(given.layout)
    if layout.shape == given.layout.shape:
        return Activation(given.name, given.quantity, layout)
    return Simple((given,), layout, own=given.quantity,
                  make=lambda fields: Reshape(**fields, shape=layout.shape))


def _reshaped(walk: Walk, operator: Operator, layout: Layout, sizes: Sequence[int]) -> Layout:
    """The layout that Reshape to `sizes` makes."""
    count = math.prod(layout.shape)
    if operator.attributes.get("allowzero", 0) or not sizes or sizes[0] not in (0, 1, -1):
        walk.refuse(operator, f"is to {list(sizes)}; the batch of 1 must stay first")
    rest = [int(size) for size in sizes[1:]]
    known = math.prod(size for size in rest if size > 0)
    if rest.count(-1) == 1 and known and count % known == 0:
        rest[rest.index(-1)] = count // known
    if len(rest) not in (1, 3) or min(rest) < 1 or math.prod(rest) != count:
        walk.refuse(operator, f"is of {layout.shape} to {list(sizes)}; one dimension of all, or "
                              "an image, is known")
    if len(rest) == 1:
        return Layout(layout.shape, layout.order, True)
    shape = (rest[1], rest[2], rest[0])
    if shape == layout.shape and layout.order == "chw":
        return Layout(shape)
    return Layout(_image(walk, operator, layout, shape))


def _squeezed(walk: Walk, operator: Operator, layout: Layout) -> Layout:
    """The layout that Squeeze or Unsqueeze of height and width makes."""
    axes = operator.attributes.get("axes")
    if walk.given(operator, 1):
        axes = walk.numbers(operator, 1, "axes").ravel().tolist()
    if layout.shape[:2] != (1, 1) or sorted(int(axis) % 4 for axis in axes or ()) != [2, 3]:
        walk.refuse(operator, f"is over the axes {axes} of {layout.shape}; only a height and "
                              "width of 1 are known")
    return Layout(layout.shape, flat=operator.kind == "Squeeze")


def _image(walk: Walk, operator: Operator, layout: Layout, shape: Shape) -> Shape:
    """The image's shape, where its integers lie as they do now."""
    in_order = layout.shape[:2] == (1, 1) or layout.order == "hwc" or layout.shape[2] == 1
    if not in_order or (shape[2] != 1 and shape[:2] != (1, 1)):
        walk.refuse(operator, f"is of {layout.shape} to an image of {shape}, which would move "
                              "its channels; reshape before the network")
    return shape


OPERATORS: dict[str, Callable[[Walk, Operator], Value]] = {
    "Conv": conv, "Gemm": gemm, "MatMul": gemm, "BatchNormalization": batch_normalization,
    "Add": add, "Relu": relu, "Clip": clip, "MaxPool": max_pool, "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool, "ReduceMean": reduce_mean, "Pad": pad,
    "Flatten": flatten, "Reshape": reshape, "Squeeze": reshape, "Unsqueeze": reshape,
    "Transpose": transpose, "Softmax": softmax, "Identity": same, "Dropout": same}
"""The operators by their names, beside QuantizeLinear and DequantizeLinear."""
