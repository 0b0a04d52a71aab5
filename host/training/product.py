"""The DS-CIM product of a convolution in torch, bit for bit the numpy reference's.

Training keeps every weight on one of five levels: none, half or all of its row's n points lie
below it, with either sign. There the counter sequence is as true as it can be. Of the A points
that an activation exceeds, a weight at the top counts all A, and one at half counts

    A/2 + (A mod 2)/2   in regions with i + j even,   A/2 - (A mod 2)/2   with i + j odd,

because the van der Corput order alternates between the halves. So a whole product is the plain
product of the levels and one correction, whatever n is. For activations that are never below
their zero point and the signed mode split; sums stay below 2**24, so single precision is exact.
"""

import torch
from torch import Tensor, nn

from dscim.gateware.specs import ProductSpec
from dscim.host.errors import UserError
from dscim.host.reference.matrix import region_thresholds

Pair = tuple[int, int]


class Counter:
    """The product of one arithmetic for the windows of one convolution.

    Level: how many of the n thresholds of its row an operand exceeds. `effective_*` is what a
    level stands for, in the operand's own integers.
    """

    def __init__(self, spec: ProductSpec, kernel: Pair, channels: int) -> None:
        """spec: signed mode split, sequence counter, not exact; kernel: (height, width)."""
        if spec.signed != "split" or spec.sequence.kind != "counter" or spec.exact:
            raise UserError("training goes through the signed mode split with the sequence "
                            f"counter only, not {spec.signed} with {spec.sequence.kind}.")
        self.spec, self.samples = spec, spec.samples
        if spec.samples == spec.side:
            raise UserError(f"stream length {spec.length} has no five even weight levels: train "
                            f"for {spec.length // 2} or less.")
        p, q = torch.from_numpy(region_thresholds(spec)[:, 0].astype("int64"))
        operands = (torch.arange(256) << spec.activation_shift).clamp(max=255)
        reached = (operands[:, None] >> spec.operand_shift > p).sum(1)
        self._first = int((reached < 1).sum())
        self._step = int((reached < 2).sum()) - self._first
        parts = min(2, self.samples)
        level = (torch.arange(0, 256, 2)[:, None] >> spec.operand_shift > q).sum(1)
        self._weights = (level * (parts / self.samples)).round() * (128 / parts)
        rows = torch.arange(kernel[0] * kernel[1] * channels) % spec.or_width
        odd = (rows // spec.root + rows % spec.root) % 2
        self._parity = (1 - 2 * odd).reshape(*kernel, channels).permute(2, 0, 1).float()

    def effective_activations(self, x: Tensor) -> Tensor:
        """What the levels of x (integers x - z, 0..255) stand for: 0..256 >> e."""
        return self._activation_levels(x) * self._unit

    def effective_weights(self, w: Tensor) -> Tensor:
        """What the nearest of the five levels to w (-127..127) stands for: -128..128."""
        return self._weights[w.abs().int()] * w.sign()

    def sums(self, plain: Tensor, x: Tensor, w: Tensor, stride: Pair, padding: Pair) -> Tensor:
        """The estimate of every window in product units, float32 integers (B, O, H', W').

        plain: the convolution of the effective operands. x: (B, C, H, W) integers x - z in
        0..255; w: (O, C, KH, KW), each the middle of a level, that is -127, -64, 0, 64 or 127.
        """
        if self.samples == 1:
            return plain
        left = self._activation_levels(x) % 2 * (self._unit * self.samples / 2)
        right = (w.abs() == 64) * w.sign() * self._parity * (128 / self.samples)
        return plain + nn.functional.conv2d(left, right, None, stride, padding)

    @property
    def _unit(self) -> float:
        """What one activation level stands for."""
        return 256 / self.samples / (1 << self.spec.activation_shift)

    def _activation_levels(self, x: Tensor) -> Tensor:
        """0..n for x - z in 0..255, float32: the thresholds are evenly spaced."""
        level = ((x - self._first) / self._step).floor_().add_(1)
        return level.clamp_(0, self.samples)


class Exact:
    """The exact product behind the interface of `Counter`: a level is the operand itself."""

    def __init__(self, spec: ProductSpec) -> None:
        self.spec = spec

    def effective_activations(self, x: Tensor) -> Tensor:
        """x itself."""
        return x

    def effective_weights(self, w: Tensor) -> Tensor:
        """w itself."""
        return w

    def sums(self, plain: Tensor, x: Tensor, w: Tensor, stride: Pair, padding: Pair) -> Tensor:
        """The sums in product units, float64 for they may pass 2**24."""
        return nn.functional.conv2d(x.double(), w.double(), None, stride, padding)


def arithmetic(spec: ProductSpec, kernel: Pair, channels: int) -> Counter | Exact:
    """The product of `spec` for convolutions of `kernel` over `channels`."""
    return Exact(spec) if spec.exact else Counter(spec, kernel, channels)
