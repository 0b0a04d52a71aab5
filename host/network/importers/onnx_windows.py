"""The windows of ONNX convolutions and pools: kernel, stride, dilation, padding, output size."""

from typing import Any

from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_importer import OnnxImporter
from dscim.host.network.node import Padding, Pair, same_padding


def window(
    importer: OnnxImporter,
    operator: Operator,
    kernel: tuple[int, ...],
    sizes: Pair,
    moved: bool = False,
) -> dict[str, Any]:
    """Kernel, stride, dilation and padding of a window over an image of `sizes`.

    The kernel may be that of a sequence, which has the height 1. moved: whether the windows are
    those of a transposed convolution, which has no padding scheme.
    """
    attributes = operator.attributes
    own = _pair(importer, operator, attributes.get("kernel_shape", list(kernel)), "kernel")
    if own != tuple(kernel):
        importer.refuse(operator, f"has the kernel {own}, but weights of {kernel}")
    stride = _pair(importer, operator, attributes.get("strides", [1, 1]), "strides")
    dilation = _pair(importer, operator, attributes.get("dilations", [1, 1]), "dilations")
    wide = (own[0] - 1) * dilation[0] + 1, (own[1] - 1) * dilation[1] + 1
    scheme = attributes.get("auto_pad", b"NOTSET").decode()
    pads = [int(pad) for pad in attributes.get("pads", [0] * 4)]
    if len(pads) == 2:
        pads = [0, pads[0], 0, pads[1]]
    if scheme in ("SAME_UPPER", "SAME_LOWER") and not moved:
        pairs = [same_padding(*side) for side in zip(sizes, wide, stride, strict=True)]
        less, more = ([pair[i] for pair in pairs] for i in (0, 1))
        pads = less + more if scheme == "SAME_UPPER" else more + less
    elif scheme not in ("NOTSET", "VALID") and not moved:
        importer.refuse(operator, f"has the padding scheme {scheme!r}, which is not supported")
    if scheme == "VALID":
        pads = [0] * 4
    if len(pads) != 4 or min(pads) < 0:
        importer.refuse(operator, f"has the pads {pads}; four of at least 0 are needed")
    padding: Padding = ((pads[0], pads[2]), (pads[1], pads[3]))
    return {"kernel": own, "stride": stride, "dilation": dilation, "padding": padding}


def sides(sizes: Pair, kernel: tuple[int, ...], geometry: dict[str, Any]) -> Pair:
    """Height and width of the output of windows over an image of `sizes`."""
    (top, bottom), (left, right) = geometry["padding"]
    down, across = geometry["stride"]
    return (
        (sizes[0] + top + bottom - kernel[0]) // down + 1,
        (sizes[1] + left + right - kernel[1]) // across + 1,
    )


def _pair(importer: OnnxImporter, operator: Operator, values: Any, what: str) -> Pair:
    """Two sizes of at least 1; the only one of a sequence is that of the width."""
    sizes = [int(value) for value in values]
    sizes = [1, *sizes] if len(sizes) == 1 else sizes
    if len(sizes) != 2 or not all(1 <= size <= 1 << 16 for size in sizes):
        importer.refuse(operator, f"has the {what} {sizes}; two of at least 1 are needed")
    return sizes[0], sizes[1]
