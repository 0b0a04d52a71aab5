"""A layer for the engine: geometry, zero points, arithmetic."""

import dataclasses

from dscim.gateware.specs.base import Spec, require
from dscim.gateware.specs.product import MAX_DEPTH, ProductSpec

MAX_SIDE = 4095
"""The largest height or width, by the size of descriptor fields."""

MAX_CHANNELS = 32767
"""The most channels; a product of one pixel has as many inputs."""

INT8 = range(-128, 128)


@dataclasses.dataclass(frozen=True)
class LayerSpec(Spec):
    """A convolution, or a fully connected layer as a 1x1 convolution of one pixel.

    input:       (height, width, channels), NHWC without the N.
    outputs:     output channels.
    kernel:      (height, width).
    stride:      (vertical, horizontal).
    padding:     ((top, bottom), (left, right)); padded positions hold the input's zero point.
    input_zero:  z of the activations. output_zero: added after scaling. Both int8.
    clamp:       smallest and largest output, int8.
    product:     the arithmetic.
    depthwise:   True: output channel o is a product with input channel o*channels/outputs only;
                 outputs is a multiple of the input's channels, and the signed mode is split.
    single_rounding: True: scaling rounds once, ties away from zero; False: twice, as in gemmlowp.
    """

    input: tuple[int, int, int]
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    input_zero: int = 0
    output_zero: int = 0
    clamp: tuple[int, int] = (-128, 127)
    product: ProductSpec = ProductSpec()
    depthwise: bool = False
    single_rounding: bool = False

    def __post_init__(self) -> None:
        sizes = {
            "input's height and width": self.input[:2],
            "kernel": self.kernel,
            "stride": self.stride,
        }
        for name, values in sizes.items():
            require(
                all(1 <= value <= MAX_SIDE for value in values),
                f"The layer's {name} {values} has a size outside 1..{MAX_SIDE}.",
            )
        channels = self.input[2], self.outputs
        require(
            all(1 <= value <= MAX_CHANNELS for value in channels),
            f"The layer's channels and outputs {channels} are outside 1..{MAX_CHANNELS}.",
        )
        pads = (*self.padding[0], *self.padding[1])
        require(
            all(0 <= pad <= MAX_SIDE for pad in pads),
            f"The layer's padding {self.padding} is outside 0..{MAX_SIDE}.",
        )
        require(
            self.input_zero in INT8 and self.output_zero in INT8,
            f"Zero points {self.input_zero} and {self.output_zero} must be int8.",
        )
        low, high = self.clamp
        require(
            low in INT8 and high in INT8 and low <= high,
            f"Clamp {self.clamp} is not an increasing pair of int8.",
        )
        require(
            self.depth <= MAX_DEPTH,
            f"A window of {self.depth} inputs is more than {MAX_DEPTH}, beyond which 32 bits "
            "could wrap; split the layer's input channels.",
        )
        if self.depthwise:
            self._check_depthwise()
        require(
            min(self._room()) >= 0,
            f"A kernel of {self.kernel} is larger than the padded input of {self.input} with "
            f"padding {self.padding}.",
        )

    def _check_depthwise(self) -> None:
        channels = self.input[2]
        require(
            self.outputs % channels == 0,
            f"A depthwise layer of {channels} channels cannot have {self.outputs} outputs; "
            f"it needs a multiple of {channels}.",
        )
        require(
            self.product.exact or self.product.signed == "split",
            "A depthwise layer runs only in the signed mode split: in offset mode, cells off the "
            "diagonal would fire.",
        )

    def _room(self) -> tuple[int, int]:
        (top, bottom), (left, right) = self.padding
        return (
            self.input[0] + top + bottom - self.kernel[0],
            self.input[1] + left + right - self.kernel[1],
        )

    @property
    def depth(self) -> int:
        """K: inputs of one product; those of one channel when depthwise."""
        return self.kernel[0] * self.kernel[1] * (1 if self.depthwise else self.input[2])

    @property
    def output(self) -> tuple[int, int, int]:
        """(height, width, channels) of the output."""
        down, across = self._room()
        return down // self.stride[0] + 1, across // self.stride[1] + 1, self.outputs
