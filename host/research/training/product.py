"""The product of a convolution in training: the emulator's own, with a gradient.

The forward pass is the kernel that emulates networks, so in every arithmetic its sums are those of
the contract, bit for bit. The gradient is that of the plain convolution of the operands' average
values, where the value of a level is the mean of the integers that exceed as many thresholds.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dscim.arrays import Int8
from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.host.golden.emulator import estimate, over_images, prepare
from dscim.host.research.calibrate.levels import activation_values, weight_levels

Pair = tuple[int, int]


@dataclass(frozen=True)
class ConvShape:
    """The shape of a convolution without padding, on inputs of `channels`.

    kernel, stride: (y, x). groups: 1, or `channels` if each channel is convolved on its own.
    """

    kernel: Pair
    stride: Pair
    channels: int
    groups: int = 1

    def convolve(self, x: Tensor, w: Tensor) -> Tensor:
        """The convolution of x (B, C, H, W) with w (O, C / groups, KH, KW)."""
        return nn.functional.conv2d(x, w, None, self.stride, 0, 1, self.groups)

    def gradients(
        self, gradient: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients of x and w, None if not wanted.

        gradient: that of the result of `convolve`. wanted: whether to compute that of x and of w.
        """
        of_x, of_w, _ = torch.ops.aten.convolution_backward(
            gradient,
            x,
            w,
            None,
            self.stride,
            (0, 0),
            (1, 1),
            False,
            (0, 0),
            self.groups,
            (*wanted, False),
        )
        return of_x, of_w

    def layer(self, images: Int8, outputs: int, zero: int, spec: ProductSpec) -> LayerSpec:
        """The layer on images (B, H, W, C) with the zero point `zero`."""
        _, height, width, channels = images.shape
        return LayerSpec(
            (height, width, channels),
            outputs,
            self.kernel,
            self.stride,
            ((0, 0), (0, 0)),
            zero,
            0,
            (-128, 127),
            spec,
            depthwise=self.groups > 1,
        )

    def weights(self, w: Tensor) -> Int8:
        """Integer weights (O, C / groups, KH, KW) in a node's order: OHWI, or HWO if depthwise."""
        whole = w.to(torch.int8)
        whole = whole[:, 0].permute(1, 2, 0) if self.groups > 1 else whole.permute(0, 2, 3, 1)
        return whole.contiguous().numpy()


class Product:
    """The product of one arithmetic for one convolution."""

    def __init__(self, spec: ProductSpec, shape: ConvShape) -> None:
        """spec: the arithmetic, with the activation shift and the stream length of this layer."""
        self.spec, self.shape = spec, shape
        values, written = weight_levels(spec)
        self._values, self._written = torch.from_numpy(values), torch.from_numpy(written).float()
        self._middles = (self._values[1:] + self._values[:-1]) / 2

    def nearest(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """The integers -127..127 of the levels nearest to real w, and their average values."""
        index = torch.bucketize(w, self._middles)
        return self._written[index], self._values[index]

    def activations(self, x: Tensor, zero: int) -> Tensor:
        """The average values of activations x (integers x - z, float32)."""
        return _looked_up(activation_values(self.spec, zero), _as_images(x, zero))

    def sums(self, x: Tensor, written: Tensor, values: Tensor, zero: int) -> Tensor:
        """The estimate of every window in product units, float32 integers (B, O, H', W').

        x: integers x - z, (B, C, H, W). written: integer weights (O, C / groups, KH, KW). values:
        their average values, which receive the gradient. zero: z.
        """
        result: Tensor = _Product.apply(x, values, written, self, zero)
        return result

    def count(self, images: Int8, written: Tensor, zero: int) -> Tensor:
        """As `sums`, for images (B, H, W, C) int8 and without a gradient."""
        outputs = len(written)
        none = np.zeros(outputs, np.int32)
        ready = prepare(
            self.shape.layer(images, outputs, zero, self.spec),
            self.shape.weights(written),
            none,
            none,
            none,
        )
        return _from_images(_threaded(lambda part: estimate(ready, part), images))

    def run(self, x: Tensor, written: Tensor, zero: int, fields: dict[str, Any]) -> Tensor:
        """The layer's output integers, float32 (B, O, H', W'), with all its rounding.

        x, written, zero: as in `sums`. fields: bias, multiplier and shift (O,) int32, output_zero
        and clamp, as a node has them.
        """
        images = _as_images(x, zero)
        layer = replace(
            self.shape.layer(images, len(written), zero, self.spec),
            output_zero=fields["output_zero"],
            clamp=fields["clamp"],
        )
        ready = prepare(
            layer,
            self.shape.weights(written),
            fields["bias"],
            fields["multiplier"],
            fields["shift"],
        )
        return _from_images(_threaded(ready.run, images).astype(np.float32))


class _Product(torch.autograd.Function):
    """See `Product.sums`."""

    @staticmethod
    def forward(
        context: Any, x: Tensor, values: Tensor, written: Tensor, product: Product, zero: int
    ) -> Tensor:
        images = _as_images(x, zero)
        context.images, context.product, context.zero = images, product, zero
        context.save_for_backward(values)
        return product.count(images, written, zero)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        spec, zero, images = context.product.spec, context.zero, context.images
        meant = _looked_up(activation_values(spec, zero), images)
        of_x, of_w = context.product.shape.gradients(
            gradient, meant, *context.saved_tensors, context.needs_input_grad[:2]
        )
        if spec.activation_shift and of_x is not None:  # no gradient where it saturates
            reach = np.abs(np.arange(-128, 128) - zero) <= 255 >> spec.activation_shift
            of_x = of_x * _looked_up(reach.astype(np.float32), images)
        return of_x, of_w, None, None, None


def _threaded(work: Callable[[Int8], npt.NDArray[Any]], images: Int8) -> npt.NDArray[Any]:
    """`work` on all images, divided among torch's threads."""
    threads = torch.get_num_threads()
    if threads == 1:
        return work(images)
    return np.concatenate(
        over_images(
            lambda part: work(images[part]),
            len(images),
            -(-len(images) // threads),
            threads=threads,
        )
    )


def _as_images(x: Tensor, zero: int) -> Int8:
    """Integers x - z (B, C, H, W) as images (B, H, W, C)."""
    return (x + zero).to(torch.int8).permute(0, 2, 3, 1).contiguous().numpy()


def _from_images(images: npt.NDArray[np.float32]) -> Tensor:
    """(B, H, W, C) as (B, C, H, W)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def _looked_up(table: npt.NDArray[np.float32], images: Int8) -> Tensor:
    """table[x + 128] for each x of images (B, H, W, C), as (B, C, H, W)."""
    return _from_images(np.take(np.roll(table, 128), images.view(np.uint8), mode="clip"))
