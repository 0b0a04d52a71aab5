"""The ONNX operators that reduce windows: pools and means."""

from typing import Any

from dscim.host.network import AveragePool, MaxPool, Mean
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_products import sides, window
from dscim.host.network.importers.onnx_values import Activation, Layout, Pending, Simple, Value
from dscim.host.network.importers.onnx_walk import Walk
from dscim.host.network.scaling import quantise_multiplier


def max_pool(walk: Walk, operator: Operator) -> Value:
    """MaxPool; its node keeps the input's scale."""
    given = walk.image(operator)
    geometry, layout = _pool(walk, operator, given)
    return Simple(
        (given,), layout, make=lambda fields: MaxPool(**fields, **geometry), own=given.quantity
    )


def average_pool(walk: Walk, operator: Operator) -> Value:
    """AveragePool without padding that counts; over a whole image it is a mean."""
    given = walk.image(operator)
    geometry, layout = _pool(walk, operator, given)
    padded = geometry["padding"] != ((0, 0), (0, 0))
    if padded and operator.attributes.get("count_include_pad", 0):
        walk.refuse(operator, "counts padding; set count_include_pad to 0")
    if not padded and layout.shape[:2] == (1, 1) and geometry["kernel"] == given.layout.shape[:2]:
        return _mean(given, layout)
    return Simple(
        (given,), layout, make=lambda fields: AveragePool(**fields, **geometry), own=given.quantity
    )


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


def _pool(walk: Walk, operator: Operator, given: Activation) -> tuple[dict[str, Any], Layout]:
    """Kernel, stride and padding of a pool, and what it makes."""
    height, width, channels = given.layout.shape
    kernel = [int(size) for size in operator.attributes.get("kernel_shape", ())]
    if len(kernel) != 2 or min(kernel) < 1 or len(operator.outputs) != 1:
        walk.refuse(
            operator,
            f"has the kernel {kernel} and {len(operator.outputs)} outputs; a "
            "pool over an image is known",
        )
    geometry = window(walk, operator, (kernel[0], kernel[1]), (height, width))
    if operator.attributes.get("ceil_mode", 0):
        spare = [
            (size + sum(pad) - k) % s
            for size, pad, k, s in zip(
                (height, width), geometry["padding"], kernel, geometry["stride"], strict=True
            )
        ]
        if any(spare):
            walk.refuse(operator, "rounds its size up (ceil_mode); pad before it instead")
    high, wide = sides((height, width), (kernel[0], kernel[1]), geometry)
    return geometry, Layout((high, wide, channels))


def _mean(given: Activation, layout: Layout) -> Pending:
    """The mean over height and width."""
    height, width, _ = given.layout.shape

    def make(fields: dict[str, Any]) -> Mean:
        real = given.quantity.scale / fields["output_scale"] / (height * width)
        multiplier, shift = quantise_multiplier([real])
        return Mean(
            **fields,
            input_zero=given.quantity.zero,
            multiplier=int(multiplier[0]),
            shift=int(shift[0]),
            single_rounding=True,
        )

    return Simple((given,), layout, make=make)
